//! The same under smol: its executor runs the container, and connections go over its own byte streams.

use std::sync::mpsc;

use amqp1_async_std::{
    AtLeastOnce, Container, Context, Delivery, Handler, Injector, ListenerId, Message, Url, client::Options,
    connect_over,
};

/// Prints nothing, accepts everything, and stops when it is told to.
struct Sink(mpsc::Sender<String>);

impl Handler for Sink {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen("127.0.0.1:0".parse::<Url>().unwrap());
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.0.send(address.to_owned()).unwrap();
    }

    fn on_message(&mut self, _: &mut Context<'_>, delivery: &Delivery<'_>) {
        assert_eq!(delivery.message().unwrap().body().to_string(), "Hello World!");
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, _: Box<dyn std::any::Any + Send>) {
        cx.stop();
    }
}

/// Sends one message from a container of its own.
struct Source(Url);

impl Handler for Source {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.create_sender(&self.0, ("examples", AtLeastOnce));
    }

    fn on_sendable(&mut self, cx: &mut Context<'_>, sender: amqp1_async_std::SenderId) {
        cx.send(sender, &Message::from("Hello World!")).unwrap();
        cx.close(sender);
    }

    fn on_accepted(&mut self, cx: &mut Context<'_>, tracker: &amqp1_async_std::Tracker) {
        cx.close(cx.connection_of(tracker.sender()).unwrap());
    }
}

#[test]
fn smol_runs_containers_and_connections() {
    smol::block_on(async {
        let (sender, listening) = mpsc::channel();
        let container = Container::new(Sink(sender));
        let injector: Injector = container.injector();
        let server = smol::spawn(container.run());
        let address = smol::unblock(move || listening.recv().unwrap()).await;

        let stream = smol::net::TcpStream::connect(&address).await.unwrap();
        let (opened, task) = connect_over(&Options::default(), &address.parse().unwrap(), stream).unwrap();
        let task = smol::spawn(task);
        let connection = opened.await.unwrap();
        let sender = connection.sender("examples").await.unwrap();
        sender.send("Hello World!").await.unwrap().accepted().unwrap();
        connection.close().await.unwrap();
        task.await;

        Container::new(Source(address.parse().unwrap())).run().await.unwrap();
        injector.inject(()).unwrap();
        server.await.unwrap();
    });
}
