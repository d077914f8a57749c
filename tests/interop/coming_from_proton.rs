//! What `docs/tutorial.md` tells those who come from Proton: each name of Proton's handlers, container and options stands in its
//! tables.

use crate::proton::Proton;

/// Prints the names: callbacks, knobs, methods of the container, options.
const NAMES: &str = r#"
import inspect
from proton import handlers, reactor

def public(one, of=lambda name: True):
    return {name for name in dir(one) if not name.startswith("_") and of(name)}

def is_callback(name):
    return name.startswith("on_") and not any(part in name for part in ("_local_", "_remote_", "_transport_"))

kinds = ("MessagingHandler", "TransactionHandler", "EndpointStateHandler", "IncomingMessageHandler", "OutgoingMessageHandler")
names = set().union(*(public(getattr(handlers, kind), is_callback) for kind in kinds))
names |= set(inspect.signature(handlers.MessagingHandler.__init__).parameters) - {"self"}
names |= public(handlers.MessagingHandler, lambda name: name in ("accept", "reject", "release", "settle"))
names |= {name for name in vars(reactor.Container) if not name.startswith("_")}
names |= {"run", "stop", "process", "schedule", "timeout", "wakeup", "on_error"} & public(reactor.Container)
names |= set(reactor.__all__) - {"Handler", "LinkOption", "SenderOption", "ReceiverOption", "ApplicationEvent"}
print(*sorted(names), sep="\n")
"#;

#[test]
fn the_tutorial_names_whatever_has_a_name_in_proton() {
    let Some(proton) = Proton::installed() else { return };
    let tutorial = include_str!("../../docs/tutorial.md");
    let (_, tables) = tutorial.split_once("## Coming from Proton").expect("it has the tables");
    // A name of Proton's stands in the first column.
    let columns: Vec<_> =
        tables.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next()).collect();
    let names = proton.code(NAMES).succeed();
    assert!(names.len() > 50, "{names:?}");
    let is_word = |text: char| text.is_alphanumeric() || text == '_';
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !columns.iter().any(|column| column.split(|c| !is_word(c)).any(|word| word == **name)))
        .collect();
    assert!(missing.is_empty(), "the tables do not tell of {missing:?}");
}
