//! Programs that ask and answer, select and browse.

use amqp1_examples::broker::Broker;
use amqp1_std::{
    Message, Value,
    blocking::Options,
    types::{Properties, Source},
};

use crate::support::{Ended, await_listener, await_output, free_address, run, start};

const CONFIRMED: &str = "all messages confirmed\n";
const POEM: &str = "\
Twas brillig, and the slithy toves => TWAS BRILLIG, AND THE SLITHY TOVES
Did gire and gymble in the wabe. => DID GIRE AND GYMBLE IN THE WABE.
All mimsy were the borogroves, => ALL MIMSY WERE THE BOROGROVES,
And the mome raths outgrabe. => AND THE MOME RATHS OUTGRABE.
";

#[test]
fn a_client_asks_and_a_server_answers_through_the_broker() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    let server = start("server", &["-a", &url]);
    await_output(&server, &format!("Listening on amqp://{url}\n"));
    assert_eq!(run("client", &["-a", &url]), Ended::well(POEM));
    assert_eq!(run("client", &["-a", &url, "one", "zwei ß"]), Ended::well("one => ONE\nzwei ß => ZWEI SS\n"));
    let printed = server.output();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 7, "{printed}");
    assert!(lines[1].starts_with("Received Message(") && lines[1].contains("Twas brillig"), "{printed}");
}

#[test]
fn many_clients_ask_at_once() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    let clients: Vec<_> =
        (0..5).map(|n| (n, start("client", &["-a", &url, &format!("a{n}"), &format!("b{n}")]))).collect();
    let _server = start("server", &["-a", &url]);
    for (n, client) in clients {
        assert_eq!(client.end(), Ended::well(&format!("a{n} => A{n}\nb{n} => B{n}\n")));
    }
}

#[test]
fn a_server_outlives_clients_that_leave_and_requests_it_cannot_answer() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    let server = start("server", &["-a", &url]);
    await_output(&server, "Listening");
    let connection = Options::default().connect(broker.address()).unwrap();
    let sender = connection.sender("examples").unwrap();
    sender.send("for nobody").unwrap().accepted().unwrap();
    // To an address where there is no message to be had, as text that is none.
    let dynamic = Some(Box::new(Source { dynamic: true, ..Source::default() }));
    let config = amqp1_std::LinkConfig { source: dynamic, ..amqp1_std::LinkConfig::receiver("gone", "") };
    let replies = connection.attach_receiver(config, 1).unwrap();
    let address = replies.remote_attach().unwrap().source.unwrap().address;
    let properties = Some(Properties { reply_to: address, ..Properties::default() });
    let request = Message { properties, ..Message::from(Value::from(7_u64)) };
    sender.send(request.clone()).unwrap().accepted().unwrap();
    let response = replies.recv().unwrap();
    assert_eq!(response.message().unwrap().body().to_string(), "7");
    response.accept().unwrap();
    replies.close().unwrap();
    assert_eq!(run("client", &["-a", &url, "still there?"]), Ended::well("still there? => STILL THERE?\n"));
}

#[test]
fn a_client_is_answered_directly() {
    let address = free_address();
    let server = start("server_direct", &["-a", &address]);
    await_listener(&address);
    let url = format!("{address}/examples");
    let clients = [(); 3].map(|()| start("client", &["-a", &url]));
    for client in clients {
        assert_eq!(client.end(), Ended::well(POEM));
    }
    let connection = Options::default().connect(&*address).unwrap();
    let request = Message::from("hello").with_reply_to("nowhere");
    connection.sender("examples").unwrap().send(request).unwrap().accepted().unwrap();
    await_output(&server, "No link for reply\n");
}

#[test]
fn what_is_green_is_selected_and_the_rest_stays() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    assert_eq!(run("colour_send", &["-a", &url, "-m", "20"]), Ended::well(CONFIRMED));
    let lines = |parity: u32, colour: &str| -> String {
        (1..=20).filter(|n| n % 2 == parity).map(|n| format!("{colour} {n}\n")).collect()
    };
    assert_eq!(run("selected_recv", &["-a", &url, "-m", "10"]), Ended::well(&lines(1, "green")));
    assert_eq!(run("simple_recv", &["-a", &url, "-m", "10"]), Ended::well(&lines(0, "red")));
}

#[test]
fn a_queue_is_browsed_to_its_end_and_keeps_all() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    assert_eq!(run("queue_browser", &["-a", &url]), Ended::well(""));
    // More and fewer than are asked for at a time, and just as many.
    for count in [3, 100, 250] {
        assert_eq!(run("simple_send", &["-a", &url, "-m", &count.to_string()]), Ended::well(CONFIRMED));
        let browsed = run("queue_browser", &["-a", &url]);
        assert_eq!((browsed.code, &*browsed.err), (Some(0), ""));
        assert_eq!(browsed.out.lines().count(), count);
        assert!(browsed.out.starts_with("Message(message_id=1, "), "{}", browsed.out);
        assert_eq!(run("queue_browser", &["-a", &url]), browsed);
        let received = run("simple_recv", &["-a", &url, "-m", &count.to_string()]);
        assert_eq!(received.out.lines().count(), count);
    }
}
