//! The second wire, OBE_Socket: what each subcommand does with `--wire obe` (design.md, section 3).

pub(super) mod filter;
pub(super) mod send;
pub(super) mod server;
