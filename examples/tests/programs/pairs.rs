//! Programs that do what they are for.

use std::{
    collections::BTreeSet,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use amqp1_examples::broker::Broker;

use crate::support::{Ended, await_listener, free_address, run, sequence, start};

const CONFIRMED: &str = "all messages confirmed\n";
const COMMITTED: &str = "all messages committed\n";

#[test]
fn helloworld_brings_its_own_broker() {
    assert_eq!(run("helloworld", &[]), Ended::well("Hello World!\n"));
}

#[test]
fn helloworld_uses_the_broker_it_is_told() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("amqp://{}/some/where?else", broker.address());
    for _ in 0..2 {
        assert_eq!(run("helloworld", &["--address", &url]), Ended::well("Hello World!\n"));
    }
}

#[test]
fn helloworld_direct_needs_no_broker() {
    let url = format!("{}/examples", free_address());
    assert_eq!(run("helloworld_direct", &["-a", &url]), Ended::well("Hello World!\n"));
}

#[test]
fn custom_driver_needs_no_socket_of_ours() {
    assert_eq!(run("custom_driver", &[]), Ended::well("Hello World!\n"));
}

#[test]
fn a_hundred_messages_go_through_the_broker_program() {
    let address = free_address();
    let _broker = start("broker", &["-a", &address]);
    await_listener(&address);
    let url = format!("{address}/examples");
    assert_eq!(run("simple_send", &["-a", &url]), Ended::well(CONFIRMED));
    assert_eq!(run("simple_recv", &["-a", &url]), Ended::well(&sequence(1, 100)));
}

#[test]
fn a_receiver_may_come_first() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    let receiver = start("simple_recv", &["-a", &url, "-m", "1000"]);
    assert_eq!(run("simple_send", &["-a", &url, "-m", "1000"]), Ended::well(CONFIRMED));
    assert_eq!(receiver.end(), Ended::well(&sequence(1, 1000)));
}

#[test]
fn what_a_receiver_does_not_take_is_left_to_the_next() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    assert_eq!(run("simple_send", &["-a", &url, "-m", "50"]), Ended::well(CONFIRMED));
    assert_eq!(run("simple_recv", &["-a", &url, "-m", "3"]), Ended::well(&sequence(1, 3)));
    assert_eq!(run("simple_recv", &["-a", &url, "-m", "47"]), Ended::well(&sequence(4, 50)));
}

#[test]
fn a_receiver_ignores_what_it_has_seen() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    for count in ["3", "3", "5"] {
        assert_eq!(run("simple_send", &["-a", &url, "-m", count]), Ended::well(CONFIRMED));
    }
    assert_eq!(run("simple_recv", &["-a", &url, "-m", "5"]), Ended::well(&sequence(1, 5)));
}

#[test]
fn two_pairs_share_a_broker() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let urls = ["one", "two"].map(|queue| format!("{}/{queue}", broker.address()));
    let receivers = urls.each_ref().map(|url| start("simple_recv", &["-a", url, "-m", "500"]));
    let senders = urls.each_ref().map(|url| start("simple_send", &["-a", url, "-m", "500"]));
    for sender in senders {
        assert_eq!(sender.end(), Ended::well(CONFIRMED));
    }
    for receiver in receivers {
        assert_eq!(receiver.end(), Ended::well(&sequence(1, 500)));
    }
}

#[test]
fn two_receivers_share_what_two_senders_send() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    let receivers = [(); 2].map(|()| start("simple_recv", &["-a", &url, "-m", "0"]));
    let senders = [(); 2].map(|()| start("simple_send", &["-a", &url, "-m", "200"]));
    for sender in senders {
        assert_eq!(sender.end(), Ended::well(CONFIRMED));
    }
    // Each number was sent twice: one receiver gets both and prints one, or both get one.
    let sent: BTreeSet<String> = sequence(1, 200).lines().map(str::to_owned).collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let printed = receivers.each_ref().map(|receiver| receiver.output());
        let seen: BTreeSet<String> =
            printed.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        if seen == sent {
            break;
        }
        assert!(seen.is_subset(&sent) && Instant::now() < deadline, "{printed:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn simple_send_reaches_direct_recv() {
    let url = format!("{}/examples", free_address());
    let receiver = start("direct_recv", &["-a", &url, "-m", "150"]);
    await_listener(url.trim_end_matches("/examples"));
    assert_eq!(run("simple_send", &["-a", &url, "-m", "150"]), Ended::well(CONFIRMED));
    assert_eq!(receiver.end(), Ended::well(&sequence(1, 150)));
}

#[test]
fn simple_recv_is_served_by_direct_send() {
    let url = format!("{}/examples", free_address());
    let sender = start("direct_send", &["-a", &url, "-m", "150"]);
    await_listener(url.trim_end_matches("/examples"));
    assert_eq!(run("simple_recv", &["-a", &url, "-m", "150"]), Ended::well(&sequence(1, 150)));
    assert_eq!(sender.end(), Ended::well(CONFIRMED));
}

#[test]
fn a_broker_with_a_password_lets_those_in_who_know_it() {
    let broker = Broker::start("amqp://scott:ti%2Fger@127.0.0.1:0").unwrap();
    let url = format!("amqp://scott:ti%2Fger@{}/examples", broker.address());
    assert_eq!(run("simple_send", &["-a", &url, "-m", "2"]), Ended::well(CONFIRMED));
    assert_eq!(run("simple_recv", &["-a", &url, "-m", "2"]), Ended::well(&sequence(1, 2)));
}

#[test]
fn messages_pass_in_transactions() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    for (messages, batch_size) in [("25", "10"), ("20", "10"), ("3", "10"), ("2", "1")] {
        let options = ["-a", &url, "-m", messages, "-b", batch_size];
        assert_eq!(run("tx_send", &options), Ended::well(COMMITTED));
        assert_eq!(run("tx_recv", &options), Ended::well(&sequence(1, messages.parse().unwrap())));
    }
    assert_eq!(run("tx_send", &["-a", &url]), Ended::well(COMMITTED));
    assert_eq!(run("simple_recv", &["-a", &url]), Ended::well(&sequence(1, 100)));
    assert_eq!(run("simple_send", &["-a", &url]), Ended::well(CONFIRMED));
    assert_eq!(run("tx_recv", &["-a", &url, "-b", "33"]), Ended::well(&sequence(1, 100)));
}

#[test]
fn what_a_transaction_has_not_committed_comes_again() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let url = format!("{}/examples", broker.address());
    assert_eq!(run("tx_send", &["-a", &url, "-m", "25"]), Ended::well(COMMITTED));
    let receiver = start("tx_recv", &["-a", &url, "-m", "0"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while receiver.output() != sequence(1, 25) {
        assert!(Instant::now() < deadline, "{}", receiver.output());
        thread::sleep(Duration::from_millis(5));
    }
    drop(receiver);
    assert_eq!(run("simple_recv", &["-a", &url, "-m", "5"]), Ended::well(&sequence(21, 25)));
}

#[cfg(unix)]
#[test]
fn interrupted_programs_leave_no_trace() {
    let broker = Broker::start("127.0.0.1:0").unwrap();
    let taken = format!("{}/examples", broker.address());
    let (listens, sends, receives) =
        (free_address(), free_address() + "/examples", free_address() + "/examples");
    let programs = [
        ("broker", ["-a", &listens], &listens),
        ("direct_send", ["-a", &sends], &sends),
        ("direct_recv", ["-a", &receives], &receives),
        ("simple_recv", ["-a", &taken], &taken),
        ("tx_recv", ["-a", &taken], &taken),
        ("selected_recv", ["-a", &taken], &taken),
    ];
    for (name, arguments, address) in programs {
        let program = start(name, &arguments);
        await_listener(address.trim_end_matches("/examples"));
        thread::sleep(Duration::from_millis(100));
        let interrupt = Command::new("kill").args(["-INT", &program.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        assert_eq!(program.end(), Ended { code: None, out: String::new(), err: String::new() }, "{name}");
    }
}

#[test]
fn help_tells_the_options() {
    for (name, options) in [("broker", &["-a"][..]), ("helloworld", &["-a"]), ("simple_recv", &["-a", "-m"])]
    {
        let ended = run(name, &["--help"]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{name}");
        assert!(options.iter().all(|option| ended.out.contains(&format!("  {option}, "))), "{}", ended.out);
    }
}
