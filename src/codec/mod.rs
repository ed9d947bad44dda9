//! Pure functions between one line and its parts, and between the parts and JSON (design.md, sections 1, 4 and 5).
//!
//! Everything meets in [`Parts`]: a message as the JSON text of section 4, with the places of its parts. A line from
//! the wire is respelled into it in one pass ([`Parts::read_line`]), a line of JSON Lines too ([`Parts::read_json`]),
//! and from it come the canonical line ([`write_line`]) and the JSON ([`Parts::write_json`]). Nothing here opens a
//! file, reads a clock, keeps a line, or knows where a line came from: finding its end and its payload is framing's
//! business.
//!
//! ```
//! use backbox::codec::{Form, Parts, Reading, write_line};
//! let mut parts = Parts::new();
//! parts.read_line(b"Trigger?Name=multiball&count=int:5", &Reading::default()).unwrap();
//! let mut json = Vec::new();
//! parts.write_json(None, &mut json);
//! assert_eq!(json, br#"{"command":"trigger","params":{"name":"multiball","count":5}}"#);
//! let mut line = Vec::new();
//! write_line(&parts, None, &Form::default(), &mut line).unwrap();
//! assert_eq!(line, b"trigger?name=multiball&count=int:5");
//! ```

mod eight;
mod encode;
mod error;
mod escape;
mod json;
mod jsonl;
mod line;
mod lookup;
mod names;
mod number;
mod obe;
mod parts;
mod pen;
mod spell;
mod spelled;
mod tree;
mod usual;

pub use encode::{Form, is_command, write_line};
pub use error::{Malformed, Reason};
pub use escape::{escape, unescape};
pub use json::{JsonError, JsonFault};
pub use line::typed_text;
pub use lookup::Lookup;
pub use number::json_number;
pub use obe::push_dumped;
pub use parts::{Parts, Reading, Repeats};
pub use spell::push_ascii;
pub use spelled::{Kind, Param, Params, Spelled};
pub use tree::{to_text, to_value};
