//! The protocol as a machine, checked over every order of steps: the coordinator dies or loses patience
//! anywhere, either side forgets what is not durable, messages are late, lost and repeated, and two recoveries
//! run beside a coordinator that is only slow.

use std::collections::BTreeMap;

use commit::Decision::{self, Abort, Commit};
use stateright::{Checker as _, Model, Property};

/// Lost and repeated messages of one run.
const FAULTS: u8 = 2;

/// What a resolver leaves behind where it finds no decision.
#[derive(Clone, Copy, Debug)]
struct Protocol {
    records_aborts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Party {
    Coordinator,
    Recovery(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Message {
    Prepare,
    Prepared(bool),
    Commit,
    Committed(bool),
    Resolve(Party),
    Resolved(Party, bool),
    Settle(Party, bool),
    Settled(Party),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Coordinator {
    Preparing,
    Committing,
    Resolving,
    Settling,
    ToldCommitted,
    ToldAborted,
    ToldPending,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Platform {
    Working,
    Prepared,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Erp {
    Working,
    /// The decision row is written and not committed.
    Recorded,
    Committed,
    RolledBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Recovery {
    Idle,
    Resolving,
    Settling,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    coordinator: Coordinator,
    platform: Platform,
    /// `tombolo.settled`.
    mark: Option<Decision>,
    erp: Erp,
    /// `tombolo.decision`.
    record: Option<Decision>,
    recoveries: [Recovery; 2],
    network: BTreeMap<Message, u8>,
    faults: u8,
    /// What resolvers were told, and whether they were told two things.
    told: Option<Decision>,
    contradicted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Deliver(Message),
    Repeat(Message),
    Lose(Message),
    CoordinatorLosesPatience,
    CoordinatorDies,
    PlatformForgets,
    ErpForgets,
    ErpCommits,
    Look(usize),
    GiveUp(usize),
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            coordinator: Coordinator::Preparing,
            platform: Platform::Working,
            mark: None,
            erp: Erp::Working,
            record: None,
            recoveries: [Recovery::Idle; 2],
            network: BTreeMap::from([(Message::Prepare, 1)]),
            faults: FAULTS,
            told: None,
            contradicted: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        use Coordinator::{Committing, Preparing, Resolving, Settling};
        for message in world.network.keys().copied() {
            // The row of a commit on its way is locked.
            if matches!(message, Message::Resolve(_)) && world.erp == Erp::Recorded {
                continue;
            }
            actions.push(Action::Deliver(message));
            if world.faults > 0 {
                actions.extend([Action::Repeat(message), Action::Lose(message)]);
            }
        }
        if matches!(world.coordinator, Preparing | Committing | Resolving | Settling) {
            actions.extend([Action::CoordinatorLosesPatience, Action::CoordinatorDies]);
        }
        if world.platform == Platform::Working {
            actions.push(Action::PlatformForgets);
        }
        match world.erp {
            Erp::Working => actions.push(Action::ErpForgets),
            Erp::Recorded => actions.extend([Action::ErpForgets, Action::ErpCommits]),
            Erp::Committed | Erp::RolledBack => {}
        }
        for (index, recovery) in world.recoveries.iter().enumerate() {
            match recovery {
                Recovery::Idle if world.platform == Platform::Prepared => {
                    actions.push(Action::Look(index));
                }
                Recovery::Idle => {}
                Recovery::Resolving | Recovery::Settling if !world.concerns(index) => {
                    actions.push(Action::GiveUp(index));
                }
                Recovery::Resolving | Recovery::Settling => {}
            }
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Deliver(message) => {
                world.take(message);
                self.deliver(&mut world, message);
            }
            Action::Repeat(message) => {
                world.faults -= 1;
                self.deliver(&mut world, message);
            }
            Action::Lose(message) => {
                world.faults -= 1;
                world.take(message);
            }
            Action::CoordinatorLosesPatience => world.lose_patience(),
            Action::CoordinatorDies => world.coordinator = Coordinator::Dead,
            Action::PlatformForgets => world.platform = Platform::Ended,
            Action::ErpForgets => world.erp = Erp::RolledBack,
            Action::ErpCommits => {
                world.erp = Erp::Committed;
                world.record = Some(Commit);
                world.send(Message::Committed(true));
            }
            Action::Look(index) => {
                world.recoveries[index] = Recovery::Resolving;
                world.send(Message::Resolve(Party::Recovery(index)));
            }
            Action::GiveUp(index) => world.recoveries[index] = Recovery::Idle,
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("both sides or neither", |_, world: &World| match world.mark {
                Some(Commit) => world.erp == Erp::Committed,
                Some(Abort) => world.erp != Erp::Committed,
                None => world.erp != Erp::Committed || world.platform == Platform::Prepared,
            }),
            Property::always("an answer is true for ever", |_, world: &World| {
                match world.coordinator {
                    Coordinator::ToldCommitted => {
                        world.mark == Some(Commit) && world.erp == Erp::Committed
                    }
                    Coordinator::ToldAborted => {
                        world.mark != Some(Commit) && world.erp != Erp::Committed
                    }
                    _ => true,
                }
            }),
            Property::always("a decision never changes", |_, world: &World| !world.contradicted),
            Property::eventually("everything is settled", |_, world: &World| world.is_settled()),
            Property::sometimes("a caller learns of success", |_, world: &World| {
                world.coordinator == Coordinator::ToldCommitted
            }),
            Property::sometimes("recovery commits for the dead", |_, world: &World| {
                world.coordinator == Coordinator::Dead && world.mark == Some(Commit)
            }),
            Property::sometimes("recovery overtakes a slow coordinator", |_, world: &World| {
                world.coordinator == Coordinator::Committing
                    && world.record == Some(Abort)
                    && world.erp == Erp::Working
            }),
        ]
    }
}

impl Protocol {
    fn deliver(&self, world: &mut World, message: Message) {
        match message {
            Message::Prepare => world.prepare(),
            Message::Commit => world.record_commit(),
            Message::Resolve(party) => {
                let decision = world.record.unwrap_or(Abort);
                if self.records_aborts {
                    world.record = Some(decision);
                }
                world.contradicted |= world.told.is_some_and(|it| it != decision);
                world.told = Some(decision);
                world.send(Message::Resolved(party, decision == Commit));
            }
            Message::Settle(party, commit) => {
                world.settle(if commit { Commit } else { Abort });
                world.send(Message::Settled(party));
            }
            Message::Prepared(_) | Message::Committed(_) => world.coordinate(message),
            Message::Resolved(Party::Coordinator, _) | Message::Settled(Party::Coordinator) => {
                world.coordinate(message);
            }
            Message::Resolved(Party::Recovery(index), commit) => {
                if world.recoveries[index] == Recovery::Resolving {
                    world.recoveries[index] = Recovery::Settling;
                    world.send(Message::Settle(Party::Recovery(index), commit));
                }
            }
            Message::Settled(Party::Recovery(index)) => {
                if world.recoveries[index] == Recovery::Settling {
                    world.recoveries[index] = Recovery::Idle;
                }
            }
        }
    }
}

impl World {
    fn send(&mut self, message: Message) {
        *self.network.entry(message).or_default() += 1;
    }

    fn take(&mut self, message: Message) {
        match self.network.get_mut(&message) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.network.remove(&message)),
        }
    }

    fn prepare(&mut self) {
        if self.platform == Platform::Working {
            let refused = self.mark.is_some();
            self.platform = if refused { Platform::Ended } else { Platform::Prepared };
            self.send(Message::Prepared(!refused));
        }
    }

    fn record_commit(&mut self) {
        if self.erp == Erp::Working {
            let refused = self.record.is_some();
            self.erp = if refused { Erp::RolledBack } else { Erp::Recorded };
            if refused {
                self.send(Message::Committed(false));
            }
        }
    }

    fn settle(&mut self, decision: Decision) {
        match (self.platform, decision) {
            (Platform::Prepared, _) => {
                self.platform = Platform::Ended;
                self.mark = Some(decision);
            }
            (Platform::Working | Platform::Ended, Abort) if self.mark.is_none() => {
                self.mark = Some(Abort);
            }
            (Platform::Working | Platform::Ended, _) => {}
        }
    }

    fn coordinate(&mut self, message: Message) {
        use Coordinator::{Committing, Preparing, Resolving, Settling};
        match (self.coordinator, message) {
            (Preparing, Message::Prepared(true)) => {
                self.coordinator = Committing;
                self.send(Message::Commit);
            }
            (Preparing, Message::Prepared(false)) | (Committing, Message::Committed(false)) => {
                self.lose_patience();
            }
            (Committing, Message::Committed(true)) | (Resolving, Message::Resolved(_, true)) => {
                self.coordinator = Settling;
                self.send(Message::Settle(Party::Coordinator, true));
            }
            (Resolving, Message::Resolved(_, false)) => {
                self.coordinator = Coordinator::ToldAborted;
                self.send(Message::Settle(Party::Coordinator, false));
            }
            (Settling, Message::Settled(_)) => self.coordinator = Coordinator::ToldCommitted,
            _ => {}
        }
    }

    fn lose_patience(&mut self) {
        match self.coordinator {
            Coordinator::Preparing => {
                self.coordinator = Coordinator::ToldAborted;
                self.send(Message::Settle(Party::Coordinator, false));
            }
            Coordinator::Committing => {
                self.coordinator = Coordinator::Resolving;
                self.send(Message::Resolve(Party::Coordinator));
            }
            _ => self.coordinator = Coordinator::ToldPending,
        }
    }

    /// A message to or from that recovery is on its way.
    fn concerns(&self, index: usize) -> bool {
        let party = Party::Recovery(index);
        self.network.keys().any(|it| match it {
            Message::Resolve(of)
            | Message::Resolved(of, _)
            | Message::Settle(of, _)
            | Message::Settled(of) => *of == party,
            _ => false,
        })
    }

    fn is_settled(&self) -> bool {
        match self.erp {
            Erp::Committed => self.mark == Some(Commit),
            Erp::RolledBack => self.platform == Platform::Ended && self.mark != Some(Commit),
            Erp::Working | Erp::Recorded => false,
        }
    }
}

#[test]
fn no_order_of_steps_breaks_the_promise() {
    let protocol = Protocol { records_aborts: true };
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    assert!(checker.unique_state_count() > 1_000);
    checker.assert_properties();
}

#[test]
fn without_the_record_of_an_abort_the_promise_is_broken() {
    let protocol = Protocol { records_aborts: false };
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    for broken in ["both sides or neither", "a decision never changes"] {
        assert!(checker.discovery(broken).is_some(), "{broken}");
    }
}
