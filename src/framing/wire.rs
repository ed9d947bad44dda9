//! Which protocols there are, and what people call them.

/// How messages stand on a connection, or in a stream (`--wire`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// The Backbox Control Protocol.
    #[default]
    Bcp,
    /// OBE_Socket's frames: a length and one JSON text, never a payload.
    Obe,
}

impl Wire {
    /// What `--wire` and a session file call each.
    pub const NAMES: [&str; 2] = ["bcp", "obe"];

    /// The wire of this name.
    pub fn named(name: &[u8]) -> Option<Wire> {
        [Wire::Bcp, Wire::Obe].into_iter().find(|wire| wire.name().as_bytes() == name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        let [bcp, obe] = Wire::NAMES;
        match self {
            Wire::Bcp => bcp,
            Wire::Obe => obe,
        }
    }
}
