//! Bad input of a peer: a test for each row of the checklist, named by the row's id.
//!
//! | word | what the engine does |
//! | --- | --- |
//! | CLOSE(c) | closes the connection with condition c, drops what still arrives, gives up after a time |
//! | END(c) | ends the session with condition c; other sessions go on |
//! | DETACH(c) | closes the link with condition c; the session goes on |
//! | HDR | answers with the header that it wants, and drops the connection |
//! | DROP | drops the connection without a word |
//! | IGNORE | nothing |
//! | LOCAL | tells its own user |

mod bloat;
mod clock;
mod connection;
mod coordinator;
mod credit;
mod deliveries;
mod dispositions;
mod floods;
mod frames;
mod header;
mod links;
mod matrix;
mod node;
mod own;
mod resume;
mod sasl;
mod sessions;
mod transactions;
mod values;
