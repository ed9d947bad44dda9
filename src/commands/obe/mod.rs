//! OBE_Socket, the other wire: what `send` does with `--wire obe` (`obe-socket`(7)).

pub(super) mod send;
