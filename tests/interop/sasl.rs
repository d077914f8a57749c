//! SCRAM with Proton, in both roles.

use std::{sync::mpsc, thread};

use amqp1_std::{
    ConnectionId, Container, ContainerOptions, Context, Delivery, Handler, ListenerId, Security, Url,
    sasl::{ClientMechanisms, Sasl, ScramHash, ScramKeys, ServerMechanisms},
};

use crate::proton::{Proton, connect, try_connect};

#[test]
fn proton_lets_us_in_by_scram() {
    let Some(proton) = Proton::installed() else { return };
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1"] {
        let mut listener = proton.listener(&["--mechanisms", mechanism]);
        let with = |password: &str| {
            let security = Security::Sasl(Sasl::client().scram("guest", password).into());
            move |options: &mut amqp1_std::blocking::Options| {
                options.connection.allow_clear_text = false;
                options.connection.security = security;
            }
        };
        let connection = connect(&listener.address, with("guest"));
        connection.sender("accepted").unwrap().send("Hello World!").unwrap().accepted().unwrap();
        connection.close().unwrap();
        assert!(listener.program.line().starts_with(&format!("{mechanism} guest")));
        let error = try_connect(&listener.address, with("gast")).unwrap_err().to_string();
        assert_eq!(error, "authentication failed: wrong credentials; check user and password", "{mechanism}");
    }
}

/// Takes messages, and tells the users; stops when it is told to.
struct Guarded {
    at: mpsc::Sender<String>,
    users: mpsc::Sender<String>,
}

impl Handler for Guarded {
    fn on_start(&mut self, cx: &mut Context<'_>) {
        cx.listen("127.0.0.1:0".parse::<Url>().unwrap());
    }

    fn on_listening(&mut self, _: &mut Context<'_>, _: ListenerId, address: &str) {
        self.at.send(address.to_owned()).unwrap();
    }

    fn on_connection_opened(&mut self, cx: &mut Context<'_>, connection: ConnectionId) {
        let identity = cx.identity(connection).expect("nobody comes in without");
        self.users.send(format!("{} {}", identity.mechanism(), identity.user().unwrap_or_default())).unwrap();
    }

    fn on_message(&mut self, cx: &mut Context<'_>, delivery: &Delivery<'_>) {
        cx.accept(delivery.id()).unwrap();
    }

    fn on_injected(&mut self, cx: &mut Context<'_>, _: Box<dyn std::any::Any + Send>) {
        cx.stop();
    }
}

#[test]
fn we_let_proton_in_by_scram() {
    let Some(proton) = Proton::installed() else { return };
    for (hash, mechanism) in [(ScramHash::Sha256, "SCRAM-SHA-256"), (ScramHash::Sha1, "SCRAM-SHA-1")] {
        let keys = ScramKeys::new(hash, "tiger", b"scott's salt", ScramKeys::ITERATIONS);
        let sasl = Sasl::server().scram(hash, move |user| (user == "scott").then(|| keys.clone()));
        let mut options = ContainerOptions::default();
        options.connection.security = Security::Sasl(sasl.into());
        let ((at, address), (sender, users)) = (mpsc::channel(), mpsc::channel());
        let container = Container::with_options(Guarded { at, users: sender }, options);
        let injector = container.injector();
        let server = thread::spawn(move || container.run());
        let address = address.recv().unwrap();
        let client = |password: &'static str| {
            let words = ["--user", "scott", "--password", password, "--mechanism", mechanism, &address];
            proton.client([&words[..], &["outcomes", "queue"]].concat())
        };
        let refused = client("lion").end();
        assert!(
            !refused.status.success() && refused.errors.contains("Authentication failed"),
            "{}",
            refused.errors
        );
        let told = client("tiger").succeed();
        assert!(told[0].starts_with("ACCEPTED"), "{told:?}");
        assert_eq!(users.recv().unwrap(), format!("{mechanism} scott"));
        injector.inject(()).unwrap();
        server.join().unwrap().unwrap();
    }
}
