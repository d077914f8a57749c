//! The drivers, each behind the same few functions.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use amqp1_driver::{
    aio,
    program::{ContainerOptions, Error, Handler, Injector, TlsClient, TlsServer},
    record::Recorder,
};

/// No test takes longer, whatever goes wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs something that might hang: fails loudly instead.
pub fn within_patience<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = sender.send(run());
    });
    match result.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("took longer than {PATIENCE:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the result was sent"),
        },
    }
}

/// What a container is made with.
#[derive(Default)]
pub struct Setup {
    pub options: ContainerOptions,
    pub recorder: Option<Recorder>,
    pub tls: Option<(TlsClient, TlsServer)>,
    /// Who gets the container's injector.
    pub injector: Option<mpsc::Sender<Injector>>,
}

/// A driver that runs containers.
pub trait Driver: 'static {
    /// Runs a container as programs do.
    fn run(handler: impl Handler + Send + 'static, setup: Setup) -> Result<(), Error>;

    /// Runs a container step by step, and then looks at its handler.
    fn steps<H: Handler + Send + 'static, T>(handler: H, setup: Setup, look: impl FnOnce(&mut H) -> T) -> T;
}

/// A driver whose steps can be given a time.
pub trait Stepping: Driver {
    /// How long so many steps take when nothing happens, each given this much time.
    fn idle_steps(handler: impl Handler + Send + 'static, steps: u32, time: Duration) -> Duration;
}

/// A driver for an async runtime, and what tests need of that.
pub trait AsyncDriver: Driver {
    type Runtime: aio::Runtime<Socket: Unpin>;

    fn block_on<T>(future: impl Future<Output = T>) -> T;

    /// Runs a task, and waits for what comes of it.
    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send;
}

pub struct Std;
pub struct Mio;
pub struct Tokio;
pub struct AsyncStd;

/// The container of a driver, set up.
macro_rules! container {
    ($driver:ident, $handler:expr, $setup:expr) => {{
        let Setup { options, recorder, tls, injector } = $setup;
        let mut container = $driver::Container::with_options($handler, options);
        if let Some(recorder) = recorder {
            container = container.record(recorder);
        }
        if let Some((client, server)) = tls {
            container = container.tls_client(client).tls_server(server);
        }
        if let Some(sender) = injector {
            sender.send(container.injector()).unwrap();
        }
        container
    }};
}

macro_rules! blocking {
    ($name:ident, $driver:ident) => {
        impl Driver for $name {
            fn run(handler: impl Handler + Send + 'static, setup: Setup) -> Result<(), Error> {
                container!($driver, handler, setup).run()
            }

            fn steps<H: Handler + Send + 'static, T>(
                handler: H,
                setup: Setup,
                look: impl FnOnce(&mut H) -> T,
            ) -> T {
                let mut container = container!($driver, handler, setup);
                while container.process(None).unwrap() {}
                look(container.handler())
            }
        }

        impl Stepping for $name {
            fn idle_steps(handler: impl Handler + Send + 'static, steps: u32, time: Duration) -> Duration {
                let mut container = container!($driver, handler, Setup::default());
                assert!(container.process(None).unwrap(), "the first step starts");
                (0..10).for_each(|_| assert!(container.process(Duration::ZERO).unwrap()));
                let start = Instant::now();
                (0..steps).for_each(|_| assert!(container.process(time).unwrap()));
                start.elapsed()
            }
        }
    };
}

blocking!(Std, amqp1_std);
blocking!(Mio, amqp1_mio);

macro_rules! awaited {
    ($name:ident, $driver:ident) => {
        impl Driver for $name {
            fn run(handler: impl Handler + Send + 'static, setup: Setup) -> Result<(), Error> {
                Self::block_on(async { container!($driver, handler, setup).run().await })
            }

            fn steps<H: Handler + Send + 'static, T>(
                handler: H,
                setup: Setup,
                look: impl FnOnce(&mut H) -> T,
            ) -> T {
                Self::block_on(async {
                    let mut container = container!($driver, handler, setup);
                    while container.process().await.unwrap() {}
                    look(container.handler())
                })
            }
        }
    };
}

awaited!(Tokio, amqp1_tokio);
awaited!(AsyncStd, amqp1_async_std);

impl AsyncDriver for Tokio {
    type Runtime = amqp1_tokio::Tokio;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        let task = tokio::spawn(task);
        async { task.await.unwrap() }
    }
}

impl AsyncDriver for AsyncStd {
    type Runtime = amqp1_async_std::AsyncStd;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        async_std::task::block_on(future)
    }

    fn spawn<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        async_std::task::spawn(task)
    }
}
