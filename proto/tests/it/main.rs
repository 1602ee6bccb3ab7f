//! Rules for contracts that `buf lint` does not know, checked on the descriptors themselves.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_types::source_code_info::Location;
use prost_types::{FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};
use proto::query::v1::ErrorReason;

/// The services of the design, by package.
const SERVICES: [&str; 9] = [
    "capacity",
    "catalog",
    "dual_write",
    "events",
    "gateway",
    "lifecycle",
    "organization",
    "query",
    "user_context",
];

const STATUS_CODES: [&str; 13] = [
    "ABORTED",
    "ALREADY_EXISTS",
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
];

// Field numbers of descriptor.proto, of which the paths of comments are made.
const MESSAGE: i32 = 4;
const ENUM: i32 = 5;
const SERVICE: i32 = 6;
const METHOD: i32 = 2;

fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    set.file.into_iter().filter(|it| it.package().starts_with("tombolo.")).collect()
}

/// Leading comments of a file, by path.
fn comments(file: &FileDescriptorProto) -> BTreeMap<Vec<i32>, String> {
    let locations = file.source_code_info.iter().flat_map(|it| &it.location);
    let comment = |it: &Location| Some((it.path.clone(), it.leading_comments.clone()?));
    locations.filter_map(comment).collect()
}

fn path<const N: usize>(parts: [(i32, usize); N]) -> Vec<i32> {
    parts.into_iter().flat_map(|(kind, index)| [kind, i32::try_from(index).unwrap()]).collect()
}

/// Names of the messages that go into and out of rpcs: the rpc's comment speaks for them.
fn rpc_messages(files: &[FileDescriptorProto]) -> BTreeSet<String> {
    let methods = files.iter().flat_map(|it| &it.service).flat_map(|it| &it.method);
    methods.flat_map(|it| [it.input_type().to_owned(), it.output_type().to_owned()]).collect()
}

/// Each service with its own comment and those of its methods.
fn services() -> Vec<(ServiceDescriptorProto, String, Vec<String>)> {
    let mut found = Vec::new();
    for file in files() {
        let comments = comments(&file);
        let of = |path: Vec<i32>| comments.get(&path).cloned().unwrap_or_default();
        for (index, service) in file.service.iter().enumerate() {
            let methods = 0..service.method.len();
            let methods = methods.map(|it| of(path([(SERVICE, index), (METHOD, it)]))).collect();
            found.push((service.clone(), of(path([(SERVICE, index)])), methods));
        }
    }
    found
}

#[test]
fn every_service_of_the_design_has_a_package() {
    let files = files();
    let with_services = files.iter().filter(|it| !it.service.is_empty());
    let packages: BTreeSet<_> = with_services.map(|it| it.package().to_owned()).collect();
    // And those that owners of ERPs, and of add-ins, serve.
    let expected = SERVICES.iter().chain(&["business_logic", "add_in"]);
    let expected = expected.map(|it| format!("tombolo.{it}.v1")).collect();
    assert_eq!(packages, expected);
}

#[test]
fn everything_says_what_it_is_for() {
    let files = files();
    let rpc_messages = rpc_messages(&files);
    let mut silent = Vec::new();
    for file in &files {
        let comments = comments(file);
        let mut check = |path: Vec<i32>, name: &str| {
            if comments.get(&path).is_none_or(|it| it.trim().is_empty()) {
                silent.push(format!("{}: {name}", file.name()));
            }
        };
        for (index, message) in file.message_type.iter().enumerate() {
            if !rpc_messages.contains(&format!(".{}.{}", file.package(), message.name())) {
                check(path([(MESSAGE, index)]), message.name());
            }
        }
        for (index, it) in file.enum_type.iter().enumerate() {
            check(path([(ENUM, index)]), it.name());
        }
        for (index, service) in file.service.iter().enumerate() {
            check(path([(SERVICE, index)]), service.name());
            for (method_index, method) in service.method.iter().enumerate() {
                check(path([(SERVICE, index), (METHOD, method_index)]), method.name());
            }
        }
    }
    assert!(silent.is_empty(), "without a comment:\n{}", silent.join("\n"));
}

#[test]
fn every_rpc_names_its_errors() {
    let mut silent = Vec::new();
    for (service, comment, methods) in services() {
        for (method, own) in service.method.iter().zip(methods) {
            if !own.contains("Errors:") && !comment.contains("Errors of every method:") {
                silent.push(format!("{}.{}", service.name(), method.name()));
            }
        }
    }
    assert!(silent.is_empty(), "without errors:\n{}", silent.join("\n"));
}

#[test]
fn documented_reasons_exist() {
    let mut named = BTreeSet::new();
    for (_, comment, methods) in services() {
        named.extend(methods.iter().chain([&comment]).flat_map(|it| reasons(it)));
    }
    let unknown: Vec<_> = named
        .iter()
        .filter(|it| ErrorReason::from_str_name(&format!("ERROR_REASON_{it}")).is_none())
        .collect();
    assert!(unknown.is_empty(), "no such reasons: {unknown:?}");
    assert!(named.len() > 30, "found {} reasons only: did the comments' form change?", named.len());
}

/// The reasons in brackets behind status codes.
fn reasons(comment: &str) -> Vec<String> {
    let words = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for code in STATUS_CODES {
        for (at, _) in words.match_indices(&format!("{code} (")) {
            let inside = words[at + code.len() + 2..].split(')').next().unwrap_or_default();
            let is_reason = |it: &&str| it.chars().all(|it| it.is_ascii_uppercase() || it == '_');
            found.extend(inside.split(", ").filter(is_reason).map(str::to_owned));
        }
    }
    found
}

#[test]
fn every_list_has_pages() {
    let mut wrong = Vec::new();
    for file in files() {
        for message in &file.message_type {
            let has = |name: &str| message.field.iter().any(|it| it.name() == name);
            let name = message.name();
            let complete = match name.strip_prefix("List") {
                Some(rest) if rest.ends_with("Request") => has("page_size") && has("page_token"),
                Some(rest) if rest.ends_with("Response") => has("next_page_token"),
                _ => true,
            };
            if !complete {
                wrong.push(format!("{}: {name}", file.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "without pages:\n{}", wrong.join("\n"));
}

/// Standard methods that write take an idempotency key, or say what is to be, which is idempotent by
/// itself: then they succeed where it is so already. The catalog's one write sets a flag.
#[test]
fn every_write_takes_an_idempotency_key() {
    let mut wrong = Vec::new();
    for file in files().iter().filter(|it| it.package() != "tombolo.catalog.v1") {
        for message in &file.message_type {
            let name = message.name();
            let writes = ["Create", "Update", "Delete"].iter().any(|it| name.starts_with(it));
            let repeatable = ["idempotency_key", "allow_missing"];
            let has_key = message.field.iter().any(|it| repeatable.contains(&it.name()));
            if writes && name.ends_with("Request") && !has_key {
                wrong.push(format!("{}: {name}", file.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "without an idempotency key:\n{}", wrong.join("\n"));
}
