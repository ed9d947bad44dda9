//! OBE_Socket, the other wire: what `send` and `listen` do with `--wire obe` (`obe-socket`(7)).

pub(super) mod send;
pub(super) mod server;
