//! The `backbox` program: hands its arguments to the library and leaves with the status that comes back.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    backbox::main(std::env::args_os().skip(1))
}
