//! Recorded connections.

use std::{fs, path::Path};

use amqp1_engine::Side;

use crate::{Frame, Item, Splitter};

/// What passed over one connection, in order.
#[derive(Clone, Debug)]
pub struct Recording {
    /// What it is of.
    pub name: String,
    /// Protocol headers and frames, each with who sent it.
    pub items: Vec<(Side, Vec<u8>)>,
}

impl Recording {
    /// The recording of this name, in the folder `golden`.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn load(name: &str) -> Self {
        let path = folder().join(name).with_extension("hex");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let items = text.lines().map(|line| match line.split_at(2) {
            ("> ", hex) => (Side::Client, bytes(hex)),
            ("< ", hex) => (Side::Server, bytes(hex)),
            _ => panic!("{name}: {line}"),
        });
        Self { name: name.into(), items: items.collect() }
    }

    /// All that there are in the folder `golden`.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let files =
            fs::read_dir(folder()).expect("the folder is there").map(|file| file.expect("it is read").path());
        let mut names: Vec<_> = files
            .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
            .map(|path| path.file_stem().expect("it has a name").to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.iter().map(|name| Self::load(name)).collect()
    }

    /// Whether both sides are Proton's, so that an engine can take the place of either.
    #[must_use]
    pub fn is_between_protons(&self) -> bool {
        self.name.starts_with("proton") && !self.name.starts_with("proton-rabbitmq")
    }

    /// Whether a peer sent it, and not this project's own client.
    #[must_use]
    pub fn is_foreign(&self, from: Side) -> bool {
        from == Side::Server || self.name.starts_with("proton")
    }

    /// What one side sent, read.
    pub fn read(&self, from: Side) -> impl Iterator<Item = Item> {
        self.items.iter().filter(move |(sender, _)| *sender == from).map(|(_, bytes)| item(bytes))
    }

    /// The frames of one side.
    pub fn frames(&self, from: Side) -> impl Iterator<Item = Frame> {
        self.read(from).filter_map(|item| match item {
            Item::Frame(frame) => Some(frame),
            _ => None,
        })
    }
}

/// Reads a header or a frame.
///
/// # Panics
///
/// When it is not whole, or more than one.
#[must_use]
pub fn item(bytes: &[u8]) -> Item {
    let mut splitter = Splitter::default();
    splitter.push(bytes);
    let item = splitter.next_item().expect("a recorded item is whole");
    assert!(splitter.rest().is_empty());
    item
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("hex is ASCII");
            u8::from_str_radix(pair, 16).expect("hex")
        })
        .collect()
}
