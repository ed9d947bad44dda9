//! What the server of `replay --loopback` is told, until it runs on the loop.

pub(crate) use super::options::{CATEGORIES_OF_MEDIA, subscriptions};
use super::parting;
use crate::limits::{CONNECTIONS_MAX, LONG_FRAMES_BYTES_MAX};
use crate::net::server::{Notice, Settings};
use crate::output::say;

/// How a server of media controllers behaves.
pub fn settings() -> Settings {
    Settings {
        framing: crate::framing::FramingOptions::default(),
        long_frames_bytes_max: LONG_FRAMES_BYTES_MAX,
        connections_max: CONNECTIONS_MAX,
        full: b"error?message=too%20many%20connections\n",
        farewell: b"goodbye\n",
        until: None,
        input: None,
        notice: Box::new(|notice| {
            say(&match notice {
                Notice::TurnedAway(peer) => {
                    format!("{peer}: turned away: too many connections\n")
                }
                Notice::OutOfDescriptors(error) => parting::no_descriptor(error),
                Notice::GivenUp(error) => parting::given_up(error),
            });
        }),
    }
}
