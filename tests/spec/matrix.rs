//! Every frame in every state: what the engine does, as one table (§2.4.6, §2.5.5, §2.6). The rows are of connections,
//! sessions, links on which the engine receives, and links on which it sends.
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
        ("open sent", |way| {
            let mut peer = way.peer(way.config());
            peer.engine().open();
            peer.send_header();
            peer
        }),
        ("close pipe", |way| {
            let mut peer = way.peer(way.config());
            peer.engine().open();
            peer.engine().close(None);
            peer.send_header();
            peer
        }),
        ("open received", |way| {
            let mut peer = way.peer(way.config());
            peer.send_header();
            peer.send(open("peer"));
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
        ("ended", |way| {
            let mut peer = way.opened();
            peer.engine().close(None);
            peer.send(Close::default());
            peer
        }),
        ("close sent, attached", |way| {
            let (mut peer, _) = attached(way);
            peer.engine().close(None);
            peer
        }),
        ("discarding, attached", |way| {
            let (mut peer, _) = attached(way);
            peer.engine().close(Some(Error::new(condition::INTERNAL_ERROR)));
            peer
        }),
        ("close rcvd, attached", |way| {
            let (mut peer, _) = attached(way);
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
        ("begin pipelined, end", |way| {
            let mut peer = way.opened();
            let session = peer.engine().begin(SessionConfig::default()).unwrap();
            peer.engine().session(session).unwrap().end(None).unwrap();
            peer
        }),
        ("begin rcvd, end rcvd", |way| {
            let mut peer = way.opened();
            peer.send_all([begin(0, 9, 9).on(CHANNEL), End::default().on(CHANNEL)]);
            peer
        }),
        ("end sent, attached", |way| {
            let (mut peer, link) = attached(way);
            let session = peer.engine().receiver(link).unwrap().session();
            peer.engine().session(session).unwrap().end(None).unwrap();
            peer
        }),
        ("end with error, att.", |way| {
            let (mut peer, link) = attached(way);
            let session = peer.engine().receiver(link).unwrap().session();
            let error = Error::new(condition::INTERNAL_ERROR);
            peer.engine().session(session).unwrap().end(Some(error)).unwrap();
            peer
        }),
        ("end received, attached", |way| {
            let (mut peer, _) = attached(way);
            peer.send(End::default().on(CHANNEL));
            peer
        }),
    ]
}

fn receiver_states() -> Vec<(&'static str, Setup)> {
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
        ("close received", |way| {
            let (mut peer, _) = attached(way);
            peer.send(Detach { closed: true, ..detach(HANDLE) }.on(CHANNEL));
            peer
        }),
        ("attach sent, detached", |way| {
            let (mut peer, session) = mapped(way);
            let config = LinkConfig::receiver("link", "there");
            let link = peer.engine().session(session).unwrap().attach_receiver(config).unwrap();
            peer.engine().receiver(link).unwrap().detach().unwrap();
            peer
        }),
        ("drain sent", |way| {
            let (mut peer, link) = attached(way);
            peer.engine().receiver(link).unwrap().drain();
            peer
        }),
        ("in a delivery", |way| {
            let (mut peer, _) = attached(way);
            peer.send(Transfer { more: true, ..first(HANDLE, 0) }.on(CHANNEL).with("one"));
            peer
        }),
        ("delivery unsettled", |way| {
            let (mut peer, _) = attached(way);
            peer.send(first(HANDLE, 0).on(CHANNEL).with("one"));
            peer
        }),
        ("settled in a delivery", |way| {
            let (mut peer, link) = attached(way);
            peer.send(Transfer { more: true, ..first(HANDLE, 0) }.on(CHANNEL).with("one"));
            let Some(Event::Delivery(id)) = peer.events().pop() else { panic!("no delivery") };
            peer.engine().receiver(link).unwrap().release(id).unwrap();
            peer
        }),
    ]
}

/// The same of links on which the engine sends.
fn sender_states() -> Vec<(&'static str, Setup)> {
    vec![
        ("attach sent", |way| {
            let (mut peer, session) = mapped(way);
            let config = LinkConfig::sender("link", "there");
            peer.engine().session(session).unwrap().attach_sender(config).unwrap();
            peer
        }),
        ("attach received", |way| {
            let (mut peer, _) = mapped(way);
            peer.send(attach("link", HANDLE, Role::Receiver).on(CHANNEL));
            peer
        }),
        ("attached", |way| sending(way, 0).0),
        ("credit", |way| sending(way, 5).0),
        ("drain received", |way| {
            let (mut peer, _) = sending(way, 5);
            peer.send(Flow { drain: true, ..credit(5) }.on(CHANNEL));
            peer
        }),
        ("in a delivery", |way| {
            let (mut peer, link) = sending(way, 5);
            peer.engine().sender(link).unwrap().start(tag("0"), false, 0, "one").unwrap();
            peer
        }),
        ("delivery unsettled", |way| sent(way).0),
        ("delivery settled", |way| {
            let (mut peer, id) = sent(way);
            peer.engine().sender(id.link()).unwrap().settle(id, None).unwrap();
            peer
        }),
        ("detach sent", |way| {
            let (mut peer, link) = sending(way, 5);
            peer.engine().sender(link).unwrap().detach().unwrap();
            peer
        }),
        ("close sent", |way| {
            let (mut peer, link) = sending(way, 5);
            peer.engine().sender(link).unwrap().close(None).unwrap();
            peer
        }),
        ("close sent, unsettled", |way| {
            let (mut peer, id) = sent(way);
            peer.engine().sender(id.link()).unwrap().close(None).unwrap();
            peer
        }),
        ("close sent with error", |way| {
            let (mut peer, link) = sending(way, 5);
            let error = Error::new(condition::INTERNAL_ERROR);
            peer.engine().sender(link).unwrap().close(Some(error)).unwrap();
            peer
        }),
        ("detach received", |way| {
            let (mut peer, _) = sending(way, 5);
            peer.send(detach(HANDLE).on(CHANNEL));
            peer
        }),
        ("detached", |way| {
            let (mut peer, link) = sending(way, 5);
            peer.send(detach(HANDLE).on(CHANNEL));
            peer.engine().sender(link).unwrap().detach().unwrap();
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

/// A link on which the engine sends, with this credit.
fn sending(way: &Way, link_credit: u32) -> (Peer<Memory>, LinkId) {
    let (mut peer, session) = mapped(way);
    let config = LinkConfig::sender("link", "there");
    let link = peer.engine().session(session).unwrap().attach_sender(config).unwrap();
    peer.send(attach("link", HANDLE, Role::Receiver).on(CHANNEL));
    peer.send(credit(link_credit).on(CHANNEL));
    (peer, link)
}

fn credit(link_credit: u32) -> Flow {
    Flow {
        next_incoming_id: Some(Serial::new(0)),
        handle: Some(Handle(HANDLE)),
        delivery_count: Some(Serial::new(0)),
        link_credit: Some(link_credit),
        ..flow(9, 0, 9)
    }
}

/// The engine has sent a delivery that is not settled.
fn sent(way: &Way) -> (Peer<Memory>, DeliveryId) {
    let (mut peer, link) = sending(way, 5);
    let id = peer.engine().sender(link).unwrap().send(tag("0"), false, "one").unwrap();
    (peer, id)
}

/// The frames, of a peer that has sent so many transfers.
fn frames(transfers: u32) -> Vec<(&'static str, Frame)> {
    vec![
        ("open", open("peer").into()),
        ("begin", begin(0, 9, 9).on(CHANNEL)),
        ("answer", Begin { remote_channel: Some(0), ..begin(0, 9, 9) }.on(CHANNEL)),
        ("attach", attach("link", HANDLE, Role::Sender).on(CHANNEL)),
        ("rattach", attach("link", HANDLE, Role::Receiver).on(CHANNEL)),
        ("other", attach("other", HANDLE + 1, Role::Sender).on(CHANNEL)),
        ("flow", Flow { echo: true, ..flow(9, transfers, 9) }.on(CHANNEL)),
        ("lflow", Flow { handle: Some(Handle(HANDLE)), echo: true, ..flow(9, transfers, 9) }.on(CHANNEL)),
        ("drain", Flow { drain: true, next_outgoing_id: Serial::new(transfers), ..credit(5) }.on(CHANNEL)),
        ("trans", first(HANDLE, 0).on(CHANNEL)),
        ("next", first(HANDLE, 1).on(CHANNEL)),
        ("more", Transfer { more: true, ..first(HANDLE, 0) }.on(CHANNEL)),
        ("goes on", transfer(HANDLE).on(CHANNEL).with("two")),
        ("aborted", Transfer { aborted: true, ..transfer(HANDLE) }.on(CHANNEL)),
        ("sdispo", settled(Role::Sender, 0, DeliveryState::Accepted).on(CHANNEL)),
        ("dispo", settled(Role::Receiver, 0, DeliveryState::Accepted).on(CHANNEL)),
        ("detach", detach(HANDLE).on(CHANNEL)),
        ("closed", Detach { closed: true, ..detach(HANDLE) }.on(CHANNEL)),
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
            _ => ("", None),
        };
        let Some(Error { condition, .. }) = error else {
            taken = true;
            continue;
        };
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
                        open    begin   answer  attach  rattach other   flow    lflow   drain   trans   next    more    goes on aborted sdispo  dispo   detach  closed  end     close
header exchanged        .       C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not
open sent               .       C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not
close pipe              .       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -
open received           C not   .       C inv   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   .
opened                  C not   .       C inv   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   .
close sent              -       .       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       .
discarding              -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       .
close received          -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -
ended                   -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -
close sent, attached    -       -       -       -       -       .       -       .       .       .       .       .       -       -       -       -       .       .       .       .
discarding, attached    -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       .
close rcvd, attached    -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       -
begin sent              C not   .       .       C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   .
begin received          C not   C not   C not   .       .       .       -       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
mapped                  C not   C not   C not   .       .       .       .       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
end sent                C not   C not   C not   -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       .       .
end sent with error     C not   C not   C not   -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       .       .
end received            C not   .       C inv   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   .
begin pipelined, end    C not   .       .       C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   .
begin rcvd, end rcvd    C not   .       C inv   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   .
end sent, attached      C not   C not   C not   -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       .       .
end with error, att.    C not   C not   C not   -       -       -       -       -       -       -       -       -       -       -       -       -       -       -       .       .
end received, attached  C not   .       C inv   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   C not   .
attach sent             C not   C not   C not   .       .       .       .       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
attach received         C not   C not   C not   E use   E use   .       .       .       .       D lim   D lim   D lim   D inv   D inv   -       -       .       .       .       .
attached                C not   C not   C not   E use   E use   .       .       .       .       .       .       .       D inv   D inv   -       -       .       .       .       .
credit withdrawn        C not   C not   C not   E use   E use   .       .       .       .       .       .       .       D inv   D inv   -       -       .       .       .       .
detach sent             C not   C not   C not   E use   E use   .       .       .       .       -       -       -       -       -       -       -       .       .       .       .
close sent              C not   C not   C not   E use   E use   .       .       .       .       -       -       -       -       -       -       -       .       .       .       .
close sent with error   C not   C not   C not   E use   E use   .       .       E err   E err   E err   E err   E err   E err   E err   -       -       .       .       .       .
detach received         C not   C not   C not   D sto   .       .       .       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
detached                C not   C not   C not   .       .       .       .       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
close received          C not   C not   C not   D sto   .       .       .       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
attach sent, detached   C not   C not   C not   .       .       .       .       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
drain sent              C not   C not   C not   E use   E use   .       .       .       .       .       .       .       D inv   D inv   -       -       .       .       .       .
in a delivery           C not   C not   C not   E use   E use   .       .       .       .       .       D inv   .       .       .       .       -       .       .       .       .
delivery unsettled      C not   C not   C not   E use   E use   .       .       .       .       E inv   .       E inv   D inv   D inv   .       -       .       .       .       .
settled in a delivery   C not   C not   C not   E use   E use   .       .       .       .       -       D inv   -       -       -       -       -       .       .       .       .
attach sent             C not   C not   C not   .       .       .       .       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
attach received         C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       -       .       .       .       .
attached                C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       -       .       .       .       .
credit                  C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       -       .       .       .       .
drain received          C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       -       .       .       .       .
in a delivery           C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       .       .       .       .       .
delivery unsettled      C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       .       .       .       .       .
delivery settled        C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       -       .       .       .       .
detach sent             C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       -       .       .       .       .
close sent              C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       -       .       .       .       .
close sent, unsettled   C not   C not   C not   E use   E use   .       .       .       .       E not   E not   E not   E not   E not   -       .       .       .       .       .
close sent with error   C not   C not   C not   E use   E use   .       .       E err   E err   E not   E not   E not   E not   E not   -       -       .       .       .       .
detach received         C not   C not   C not   .       D sto   .       .       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
detached                C not   C not   C not   .       .       .       .       E una   E una   E una   E una   E una   E una   E una   -       -       E una   E una   .       .
";

/// The table as it is.
fn table(way: &Way) -> String {
    let mut table = format!("\n{:24}", "");
    for (name, _) in frames(0) {
        table += &format!("{name:8}");
    }
    for states in [connection_states(), session_states(), receiver_states(), sender_states()] {
        for (state, setup) in states {
            table = format!("{}\n{state:24}", table.trim_end());
            for at in 0..frames(0).len() {
                let mut peer = setup(way);
                let (_, frame) = frames(peer.sent_transfers(CHANNEL)).swap_remove(at);
                table += &format!("{:8}", reaction(&mut peer, frame));
            }
        }
    }
    format!("{}\n", table.trim_end())
}

#[test]
fn w04_every_frame_in_every_state() {
    each_way(|way| {
        let table = table(way);
        assert!(table == TABLE, "the table is now{table}");
    });
}
