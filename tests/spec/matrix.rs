//! Every frame in every state: what the engine does, as one table (§2.4.6, §2.5.5, §2.6).
//!
//! | cell | what the engine does |
//! | --- | --- |
//! | `.` | takes the frame: tells of it, or answers |
//! | `-` | drops it, or has nothing to say about it |
//! | `C`, `E`, `D` | closes the connection, ends the session, detaches the link, with this condition: |
//! | `not`, `inv`, `una`, `use`, `err`, `lim`, `sto` | not-allowed, invalid-field, unattached-handle, handle-in-use, errant-link, transfer-limit-exceeded, stolen |

use amqp1_tests::prelude::*;

/// Brings an engine into a state.
type Setup = fn(&Way) -> Peer<Memory>;

const CHANNEL: u16 = 3;
const HANDLE: u32 = 7;

fn connection_states() -> Vec<(&'static str, Setup)> {
    vec![
        ("header exchanged", |way| {
            let mut peer = way.peer(way.config());
            peer.send_header();
            peer
        }),
        ("opened", Way::opened),
        ("close sent", |way| {
            let mut peer = way.opened();
            peer.engine().close(None);
            peer
        }),
        ("discarding", |way| {
            let mut peer = way.opened();
            peer.engine().close(Some(Error::new(condition::INTERNAL_ERROR)));
            peer
        }),
        ("close received", |way| {
            let mut peer = way.opened();
            peer.send(Close::default());
            peer
        }),
    ]
}

fn session_states() -> Vec<(&'static str, Setup)> {
    vec![
        ("begin sent", |way| {
            let mut peer = way.opened();
            peer.engine().begin(SessionConfig::default()).unwrap();
            peer
        }),
        ("begin received", |way| {
            let mut peer = way.opened();
            peer.send(begin(0, 9, 9).on(CHANNEL));
            peer
        }),
        ("mapped", |way| mapped(way).0),
        ("end sent", |way| {
            let (mut peer, session) = mapped(way);
            peer.engine().session(session).unwrap().end(None).unwrap();
            peer
        }),
        ("end sent with error", |way| {
            let (mut peer, session) = mapped(way);
            let error = Error::new(condition::INTERNAL_ERROR);
            peer.engine().session(session).unwrap().end(Some(error)).unwrap();
            peer
        }),
        ("end received", |way| {
            let (mut peer, _) = mapped(way);
            peer.send(End::default().on(CHANNEL));
            peer
        }),
    ]
}

fn link_states() -> Vec<(&'static str, Setup)> {
    vec![
        ("attach sent", |way| {
            let (mut peer, session) = mapped(way);
            let config = LinkConfig::receiver("link", "there");
            peer.engine().session(session).unwrap().attach_receiver(config).unwrap();
            peer
        }),
        ("attach received", |way| {
            let (mut peer, _) = mapped(way);
            peer.send(attach("link", HANDLE, Role::Sender).on(CHANNEL));
            peer
        }),
        ("attached", |way| attached(way).0),
        ("credit withdrawn", |way| {
            let (mut peer, link) = attached(way);
            peer.engine().receiver(link).unwrap().set_credit(0);
            peer
        }),
        ("detach sent", |way| {
            let (mut peer, link) = attached(way);
            peer.engine().receiver(link).unwrap().detach().unwrap();
            peer
        }),
        ("close sent", |way| {
            let (mut peer, link) = attached(way);
            peer.engine().receiver(link).unwrap().close(None).unwrap();
            peer
        }),
        ("close sent with error", |way| {
            let (mut peer, link) = attached(way);
            let error = Error::new(condition::INTERNAL_ERROR);
            peer.engine().receiver(link).unwrap().close(Some(error)).unwrap();
            peer
        }),
        ("detach received", |way| {
            let (mut peer, _) = attached(way);
            peer.send(detach(HANDLE).on(CHANNEL));
            peer
        }),
        ("detached", |way| {
            let (mut peer, link) = attached(way);
            peer.send(detach(HANDLE).on(CHANNEL));
            peer.engine().receiver(link).unwrap().detach().unwrap();
            peer
        }),
        ("attached, engine sends", |way| {
            let (mut peer, session) = mapped(way);
            let config = LinkConfig::sender("link", "there");
            peer.engine().session(session).unwrap().attach_sender(config).unwrap();
            peer.send(attach("link", HANDLE, Role::Receiver).on(CHANNEL));
            peer
        }),
    ]
}

fn mapped(way: &Way) -> (Peer<Memory>, SessionId) {
    let mut peer = way.opened();
    let session = peer.engine().begin(SessionConfig::default()).unwrap();
    peer.send(Begin { remote_channel: Some(0), ..begin(0, 9, 9) }.on(CHANNEL));
    (peer, session)
}

fn attached(way: &Way) -> (Peer<Memory>, LinkId) {
    let (mut peer, session) = mapped(way);
    let config = LinkConfig::receiver("link", "there");
    let link = peer.engine().session(session).unwrap().attach_receiver(config).unwrap();
    peer.send(attach("link", HANDLE, Role::Sender).on(CHANNEL));
    peer.engine().receiver(link).unwrap().add_credit(5);
    (peer, link)
}

fn frames() -> Vec<(&'static str, Frame)> {
    vec![
        ("open", open("peer").into()),
        ("begin", begin(0, 9, 9).on(CHANNEL)),
        ("answer", Begin { remote_channel: Some(0), ..begin(0, 9, 9) }.on(CHANNEL)),
        ("attach", attach("link", HANDLE, Role::Sender).on(CHANNEL)),
        ("flow", Flow { echo: true, ..flow(9, 0, 9) }.on(CHANNEL)),
        ("lflow", Flow { handle: Some(Handle(HANDLE)), echo: true, ..flow(9, 0, 9) }.on(CHANNEL)),
        ("trans", first(HANDLE, 0).on(CHANNEL)),
        ("dispo", settled(Role::Receiver, 0, DeliveryState::Accepted).on(CHANNEL)),
        ("detach", detach(HANDLE).on(CHANNEL)),
        ("end", End::default().on(CHANNEL)),
        ("close", Close::default().into()),
    ]
}

/// What the engine does about the frame.
fn reaction(peer: &mut Peer<Memory>, frame: Frame) -> String {
    while peer.next_item().is_some() {}
    peer.events();
    peer.send(frame);
    let mut taken = !peer.events().is_empty();
    while let Some(item) = peer.next_item() {
        let Item::Frame(frame) = item else { continue };
        let (word, error) = match frame.performative {
            Performative::Close(close) => ("C", close.error),
            Performative::End(end) => ("E", end.error),
            Performative::Detach(detach) => ("D", detach.error),
            _ => {
                taken = true;
                continue;
            }
        };
        let condition = error.expect("it is closed for a reason").condition;
        let name = condition.rsplit(':').next().unwrap_or_default();
        return match name {
            "handle-in-use" => format!("{word} use"),
            "transfer-limit-exceeded" => format!("{word} lim"),
            name => format!("{word} {}", &name[..3]),
        };
    }
    if taken { "." } else { "-" }.into()
}

const TABLE: &str = "
                        open   begin  answer attach flow   lflow  trans  dispo  detach end    close
header exchanged        .      C not  C not  C not  C not  C not  C not  C not  C not  C not  C not
opened                  C not  .      C inv  C not  C not  C not  C not  C not  C not  C not  .
close sent              -      .      -      -      -      -      -      -      -      -      .
discarding              -      -      -      -      -      -      -      -      -      -      .
close received          -      -      -      -      -      -      -      -      -      -      -
begin sent              C not  .      .      C not  C not  C not  C not  C not  C not  C not  .
begin received          C not  C not  C not  .      -      E una  E una  -      E una  .      .
mapped                  C not  C not  C not  .      .      E una  E una  -      E una  .      .
end sent                C not  C not  C not  -      -      -      -      -      -      .      .
end sent with error     C not  C not  C not  -      -      -      -      -      -      .      .
end received            C not  .      C inv  C not  C not  C not  C not  C not  C not  C not  .
attach sent             C not  C not  C not  .      .      E una  E una  -      E una  .      .
attach received         C not  C not  C not  E use  .      .      D lim  -      .      .      .
attached                C not  C not  C not  E use  .      .      .      -      .      .      .
credit withdrawn        C not  C not  C not  E use  .      .      .      -      .      .      .
detach sent             C not  C not  C not  E use  .      .      -      -      .      .      .
close sent              C not  C not  C not  E use  .      .      -      -      .      .      .
close sent with error   C not  C not  C not  E use  .      E err  E err  -      .      .      .
detach received         C not  C not  C not  D sto  .      E una  E una  -      E una  .      .
detached                C not  C not  C not  .      .      E una  E una  -      E una  .      .
attached, engine sends  C not  C not  C not  E use  .      .      E not  -      .      .      .
";

#[test]
fn w04_every_frame_in_every_state() {
    let way = Way::new(Side::Client, Chunks::Whole);
    let mut table = format!("\n{:24}", "");
    for (name, _) in frames() {
        table += &format!("{name:7}");
    }
    for states in [connection_states(), session_states(), link_states()] {
        for (state, setup) in states {
            table = format!("{}\n{state:24}", table.trim_end());
            for (_, frame) in frames() {
                table += &format!("{:7}", reaction(&mut setup(&way), frame));
            }
        }
    }
    let table = format!("{}\n", table.trim_end());
    assert!(table == TABLE, "the table is now{table}");
}
