//! AMQP over WebSocket: a byte stream in binary messages, under the subprotocol `amqp` (OASIS, AMQP WebSocket Binding).

use std::{
    fmt,
    io::{self, ErrorKind, IoSlice, Read, Write},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use amqp1_engine::{container::Address, sasl};
use tungstenite::{
    Bytes, ClientHandshake, Error, HandshakeError, Message, ServerHandshake,
    client::IntoClientRequest,
    error::ProtocolError,
    handshake::{
        MidHandshake,
        server::{Callback, ErrorResponse, Request, Response},
    },
    http::{
        HeaderValue, StatusCode,
        header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL},
    },
    protocol::WebSocketConfig,
};

use super::{Stage, WriteSocket};

const SUBPROTOCOL: &str = "amqp";

/// The largest message that is taken, whatever frames it comes in: it is held until all of it is there, and what is kept of
/// it keeps all of it. Peers send a frame of AMQP or a few in each.
const MESSAGE: usize = 1 << 20;

/// What is sent in one message at most.
const SENT: usize = 64 * 1024;

/// The most that may wait for the socket; answers to pings are all of it that a peer can make grow.
const UNREAD: usize = 4 * SENT;

/// What `tungstenite` reads at a time from what is in memory anyway.
const READ: usize = 8 * 1024;

/// One connection's WebSocket.
pub(super) struct WebSocket {
    state: State,
    /// What it has written, for the socket.
    output: Output,
    is_client: bool,
    ended: bool,
}

enum State {
    Asking(MidHandshake<ClientHandshake<Pipe>>),
    Listening(MidHandshake<ServerHandshake<Pipe, Choice>>),
    Open(Box<tungstenite::WebSocket<Pipe>>),
    Failed,
}

impl WebSocket {
    pub(super) fn client(address: &Address) -> io::Result<Self> {
        let Address { host, port, scheme, .. } = address;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        // The path is the address of a node there, and none of the server's resources.
        let mut request =
            format!("{}://{host}:{port}/", scheme.as_str()).into_client_request().map_err(failed)?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let output = Output::default();
        let pipe = Pipe { input: Vec::new(), read: 0, output: output.clone() };
        let handshake = ClientHandshake::start(pipe, request, Some(config())).map_err(failed)?;
        let mut client = Self { state: State::Asking(handshake), output, is_client: true, ended: false };
        client.go_on()?;
        Ok(client)
    }

    pub(super) fn server() -> Self {
        let output = Output::default();
        let pipe = Pipe { input: Vec::new(), read: 0, output: output.clone() };
        let handshake = ServerHandshake::start(pipe, Choice, Some(config()));
        Self { state: State::Listening(handshake), output, is_client: false, ended: false }
    }

    fn pipe(&mut self) -> Option<&mut Pipe> {
        match &mut self.state {
            State::Asking(handshake) => Some(handshake.get_mut().get_mut()),
            State::Listening(handshake) => Some(handshake.get_mut().get_mut()),
            State::Open(socket) => Some(socket.get_mut()),
            State::Failed => None,
        }
    }

    /// Takes the handshake as far as the input goes.
    fn go_on(&mut self) -> io::Result<()> {
        let failure = match mem::replace(&mut self.state, State::Failed) {
            State::Asking(handshake) => match handshake.handshake() {
                Ok((socket, _)) => {
                    self.state = State::Open(Box::new(socket));
                    return Ok(());
                }
                Err(HandshakeError::Interrupted(handshake)) => {
                    self.state = State::Asking(handshake);
                    return Ok(());
                }
                Err(HandshakeError::Failure(error)) => error,
            },
            State::Listening(handshake) => match handshake.handshake() {
                Ok(socket) => {
                    self.state = State::Open(Box::new(socket));
                    return Ok(());
                }
                Err(HandshakeError::Interrupted(handshake)) => {
                    self.state = State::Listening(handshake);
                    return Ok(());
                }
                Err(HandshakeError::Failure(error)) => error,
            },
            other => {
                self.state = other;
                return Ok(());
            }
        };
        Err(invalid(match (self.is_client, failure) {
            (true, Error::Http(response)) => {
                format!(
                    "the server refuses WebSocket: HTTP status {}; check host and port",
                    response.status()
                )
            }
            (true, Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_))) => {
                "the server does not offer AMQP over WebSocket; check host and port".into()
            }
            (true, error) => format!("the server does not speak WebSocket ({error}); check the port"),
            (false, Error::Http(_)) => "the client does not ask for AMQP over WebSocket".into(),
            (false, error) => format!("the client does not speak WebSocket: {error}"),
        }))
    }
}

impl Stage for WebSocket {
    fn receive(&mut self, wire: &mut &[u8], up: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        if let Some(pipe) = self.pipe() {
            pipe.put(mem::take(wire));
        }
        if !self.is_open() {
            return self.go_on();
        }
        let State::Open(socket) = &mut self.state else { return Ok(()) };
        loop {
            match socket.read() {
                Ok(Message::Binary(bytes)) => up(&bytes),
                Ok(Message::Text(_)) => {
                    self.state = State::Failed;
                    return Err(invalid("the peer sends text over WebSocket, where AMQP is bytes".into()));
                }
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    // Its close is answered with the next flush.
                    let _ = socket.flush();
                    self.ended = true;
                    return Ok(());
                }
                // A ping is answered by what is flushed below.
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.state = State::Failed;
                    return Err(failed(error));
                }
            }
        }
        // Nothing is in the way in memory.
        let _ = socket.flush();
        if self.output.lock().len() > UNREAD {
            self.state = State::Failed;
            return Err(invalid("the peer asks over WebSocket for more than it reads".into()));
        }
        Ok(())
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let State::Open(socket) = &mut self.state else { return Err(ErrorKind::BrokenPipe.into()) };
        let mut message = Vec::with_capacity(SENT.min(slices.iter().map(|slice| slice.len()).sum()));
        for slice in slices {
            message.extend_from_slice(&slice[..slice.len().min(SENT - message.len())]);
        }
        let len = message.len();
        socket.send(Message::Binary(Bytes::from(message))).map_err(failed)?;
        Ok(len)
    }

    fn has_output(&self) -> bool {
        !self.output.lock().is_empty()
    }

    fn write(&mut self, write: &mut WriteSocket<'_>) -> io::Result<usize> {
        let mut output = self.output.lock();
        let written = write(&[IoSlice::new(&output)])?;
        if written >= output.len() {
            output.clear();
            output.shrink_to(SENT + READ);
        } else {
            output.drain(..written);
        }
        Ok(written)
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    fn close(&mut self) {
        if let State::Open(socket) = &mut self.state {
            // One that the peer has closed already is.
            let _ = socket.close(None);
            let _ = socket.flush();
        }
    }

    fn security(&self) -> sasl::Channel {
        sasl::Channel::default()
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

fn failed(error: Error) -> io::Error {
    invalid(format!("WebSocket failed: {error}"))
}

/// Takes clients that offer the subprotocol `amqp`, among others or alone.
struct Choice;

impl Callback for Choice {
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        if !is_same_origin(request) {
            let mut refusal = ErrorResponse::new(Some("This is not for pages of other sites.\n".into()));
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            return Err(refusal);
        }
        let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
        let mut names =
            offered.iter().filter_map(|names| names.to_str().ok()).flat_map(|names| names.split(','));
        if names.any(|name| name.trim() == SUBPROTOCOL) {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(Some("This is AMQP: ask for the subprotocol amqp.\n".into()));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        Err(refusal)
    }
}

/// Whether no page of another site asks: browsers let any page connect anywhere, and name the page's site.
fn is_same_origin(request: &Request) -> bool {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = header(ORIGIN) else { return !request.headers().contains_key(ORIGIN) };
    origin.split_once("://").is_some_and(|(_, site)| header(HOST) == Some(site))
}

/// A stream in memory: what came from the socket, and what goes there.
struct Pipe {
    input: Vec<u8>,
    /// So much of it is read.
    read: usize,
    output: Output,
}

/// What goes to the socket. It outlives a handshake that fails, which takes its stream with it.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    fn put(&mut self, bytes: &[u8]) {
        self.input.drain(..mem::take(&mut self.read));
        self.input.extend_from_slice(bytes);
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut unread = &self.input[self.read..];
        if unread.is_empty() {
            // An idle connection holds no buffer.
            (self.input, self.read) = (Vec::new(), 0);
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = unread.read(buffer)?;
        self.read += len;
        Ok(len)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
