//! A driver of one's own: one byte stream of any kind, here a Unix socket, and a container in the thread that calls. See
//! `docs/DRIVERS.md`.

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::ExitCode,
    thread,
    time::Duration,
};

use amqp1_engine::{
    Instant,
    container::{
        Action, Address, ConnectionId, Container, ContainerOptions, Context, Delivery, Handler, ListenerId,
        SenderId, Tracker,
    },
    message::Message,
};
use bytes::{Buf, BytesMut};

/// Runs a container over a byte stream until nothing is left to do, or says what went wrong first.
fn run(mut socket: UnixStream, seed: u64, handler: &mut dyn Handler) -> Result<(), String> {
    let mut container = Container::new(ContainerOptions { seed, ..ContainerOptions::default() });
    let epoch = std::time::Instant::now();
    let now = || Instant::from_epoch(epoch.elapsed());
    let mut stream = None;
    let mut buffer = vec![0; 64 * 1024];
    let mut input = BytesMut::new();
    container.start();
    loop {
        // Dispatch: the one place where code of the program runs.
        let has_more = container.dispatch(handler, now());
        // Obey: whatever the container wants to connect to, or to listen at, is at the other end.
        while let Some(action) = container.poll_action() {
            match action {
                Action::Connect { io, .. } => {
                    stream = Some(io);
                    container.connected(io, now());
                }
                Action::Listen { listener, address } => {
                    container.listening(listener, &address.to_string());
                    stream = container.accepted(listener, now());
                }
                Action::Shutdown { .. } => {
                    stream = None;
                    // The other side may be gone already.
                    let _ = socket.shutdown(Shutdown::Write);
                }
                _ => {}
            }
        }
        // Write what there is to say. This socket blocks; one that does not may take less, and is waited for.
        let mut wrote = false;
        while let Some(io) = container.poll_dirty_io() {
            while let Some(mut output) = container.poll_transmit(io, now()) {
                match socket.write(output.chunk()) {
                    Ok(count) => output.advance(count),
                    Err(error) => {
                        container.io_error(io, &error.to_string(), now());
                        break;
                    }
                }
                wrote = true;
            }
        }
        if let Some(failure) = container.take_failure() {
            return Err(failure.to_string());
        }
        if container.is_finished() {
            return Ok(());
        }
        let Some(io) = stream.filter(|&io| !has_more && !wrote && container.wants_input(io)) else {
            continue;
        };
        // Sleep until there is something to read, or the deadline.
        let time = container.poll_timeout().map(|at| at.duration_since(now()).max(Duration::from_millis(1)));
        socket.set_read_timeout(time).map_err(|error| error.to_string())?;
        match socket.read(&mut buffer) {
            // Hand over what has come, with what the container has left of it before; or that nothing more will.
            Ok(0) => container.eof(io, now()),
            Ok(count) => {
                input.extend_from_slice(&buffer[..count]);
                container.received(io, &mut input, now());
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => container.io_error(io, &error.to_string(), now()),
        }
        container.handle_timeout(now());
    }
}

/// Sends one message.
struct Greeter;

impl Handler for Greeter {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_sender(Address::new("the other end", 0), "examples");
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: SenderId) {
        if let Err(refused) = cx.send(sender, &Message::from("Hello World!")) {
            cx.fail(refused);
        }
        cx.close(sender);
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &Tracker) {
        if let Some(connection) = cx.connection_of(tracker.sender()) {
            cx.close(connection);
        }
    }
}

/// Prints what it receives, of one connection.
#[derive(Default)]
struct Printer(Option<ListenerId>);

impl Handler for Printer {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        self.0 = Some(cx.listen(Address::new("this end", 0)));
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        match delivery.message() {
            Ok(message) => amqp1_examples::print(message.body()),
            Err(malformed) => cx.fail(malformed),
        }
    }

    fn on_connection_closed(&mut self, cx: &mut Context<'_>, _: ConnectionId) {
        if let Some(listener) = self.0.take() {
            cx.close(listener);
        }
    }
}

fn main() -> ExitCode {
    let both = UnixStream::pair().map_err(|error| error.to_string()).and_then(|(one, other)| {
        let printer = thread::spawn(|| run(other, 2, &mut Printer::default()));
        run(one, 1, &mut Greeter)?;
        printer.join().unwrap_or_else(|_| Err("the printer panicked".into()))
    });
    match both {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
