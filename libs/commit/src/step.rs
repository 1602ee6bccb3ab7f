//! Places where a test can kill the process.

/// A step was reached. In builds with debug assertions, the environment variable
/// `TOMBOLO_CRASH_AT=<step>` kills the process here, as a power cut would; in others this is nothing.
///
/// In order: `begun`, `platform-written`, `erp-written`, `translated` and `applied` (of what both sides keep
/// the same), `platform-prepared`, `erp-committing` (the
/// decision is about to be recorded and committed), `erp-committed`, `platform-settled`.
#[inline]
pub fn step(name: &str) {
    #[cfg(debug_assertions)]
    crash::if_wanted_at(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Whether a test has this part left out, to see that it notices. In builds with debug assertions, that is
/// what the environment variable `TOMBOLO_LEAVE_OUT=<part>` says; in others it is never so.
///
/// There is one: `decision-record`, so that the ERP commits without the record that decides.
#[inline]
pub(crate) fn is_left_out(part: &str) -> bool {
    #[cfg(debug_assertions)]
    return crash::is_left_out(part);
    #[cfg(not(debug_assertions))]
    {
        let _ = part;
        false
    }
}

#[cfg(debug_assertions)]
mod crash {
    use std::sync::LazyLock;

    use rustix::process::{Signal, getpid, kill_process};

    static WANTED: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("TOMBOLO_CRASH_AT").ok().filter(|it| !it.is_empty()));

    static LEFT_OUT: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("TOMBOLO_LEAVE_OUT").ok());

    pub(super) fn is_left_out(part: &str) -> bool {
        LEFT_OUT.as_deref() == Some(part)
    }

    pub(super) fn if_wanted_at(step: &str) {
        if WANTED.as_deref() != Some(step) {
            return;
        }
        // The signal cannot be caught, but may take a moment to arrive.
        while kill_process(getpid(), Signal::KILL).is_ok() {
            std::thread::yield_now();
        }
    }
}
