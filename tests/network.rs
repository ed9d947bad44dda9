//! `send`, `listen` and `replay` on every system. The full tests in `tests/net` need Unix signals and `/proc`.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Outcome, RUN_TIME_MAX, Workdir, backbox, backbox_in, program, wait};

/// Accepts one connection; the thread returns what it received, or the error.
fn peer(reply: &'static [u8]) -> (String, thread::JoinHandle<std::io::Result<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = thread::spawn(move || {
        let (mut socket, _) = listener.accept()?;
        socket.write_all(reply)?;
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).map(|_| bytes)
    });
    (address, served)
}

/// A running server and its address.
struct Server {
    child: Option<Child>,
    address: SocketAddr,
    _folder: Workdir,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let folder = Workdir::new();
        let announced = folder.path().join("address");
        let mut command = program();
        command.args(arguments).args(["-a", "127.0.0.1:0", "--announce"]).arg(&announced);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let end = Instant::now() + RUN_TIME_MAX;
        let address = loop {
            match std::fs::read_to_string(&announced).ok().and_then(|text| text.trim().parse().ok()) {
                Some(address) => break address,
                None => assert!(Instant::now() < end, "no address is announced"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        Server { child: Some(child), address, _folder: folder }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(RUN_TIME_MAX)).unwrap();
        socket
    }

    fn finish(mut self) -> Outcome {
        let mut child = self.child.take().unwrap();
        let (mut stdout, mut stderr) = (Vec::new(), String::new());
        child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = wait(&mut child, Instant::now() + RUN_TIME_MAX);
        Outcome { code: status.code(), stdout, stderr }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
    }
}

fn read_to_end(mut socket: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_message_is_sent_with_goodbye_and_the_reply_is_printed() {
    let (address, peer) = peer(b"ready\n");
    backbox(["send", "-a", &address, "trigger", "name=multiball"], "").exits(0).prints("ready\n").reports_nothing();
    assert_eq!(peer.join().unwrap().unwrap(), b"trigger?name=multiball\ngoodbye\n");
}

#[test]
fn lines_with_crlf_are_sent_from_standard_input_and_recorded() {
    let (address, peer) = peer(b"");
    let folder = Workdir::new();
    let file = folder.path().join("game.bcp");
    let arguments = ["send", "-a", &address, "--record", file.to_str().unwrap()];
    backbox_in(&folder, arguments, "one?x=1\r\n# a comment\r\ntwo\r\n").exits(0);
    assert_eq!(peer.join().unwrap().unwrap(), b"one?x=1\ntwo\ngoodbye\n");
    let recorded = std::fs::read_to_string(&file).unwrap();
    assert!(recorded.starts_with("#backbox-session 1\n") && recorded.contains("\none?x=1\n"), "{recorded}");
}

#[test]
fn a_port_that_refuses_is_reported() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    backbox(["send", "-a", &closed, "trigger", "name=x"], "").exits(3).reports(&["connection refused at", &closed]);
}

#[test]
fn a_timeout_ends_a_run_whose_standard_input_stays_open() {
    let (address, peer) = peer(b"");
    let mut command = program();
    command.args(["send", "-a", &address, "-e", "never", "-W", "0.3", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"trigger?name=x\n").unwrap();
    let status = wait(&mut child, Instant::now() + RUN_TIME_MAX);
    assert_eq!(status.code(), Some(124));
    assert_eq!(peer.join().unwrap().unwrap(), b"trigger?name=x\ngoodbye\n");
}

#[test]
fn a_media_controller_replies_prints_and_ends_with_its_first_connection() {
    let server = Server::start(&["listen", "--once", "--monitor", "none"]);
    let mut socket = server.connect();
    socket.write_all(b"hello?version=1.1\nswitch?name=s_a&state=int:1\n").unwrap();
    let mut hello = [0; 18];
    socket.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"hello?version=1.1\n");
    socket.shutdown(Shutdown::Write).unwrap();
    read_to_end(&socket);
    server.finish().exits(0).prints("hello?version=1.1\nswitch?name=s_a&state=int:1\n");
}

#[test]
fn a_reader_that_has_gone_ends_a_server_when_it_prints() {
    let mut server = Server::start(&["listen", "--no-auto"]);
    drop(server.child.as_mut().unwrap().stdout.take());
    // Windows notices this only at a write; elsewhere the server may have exited by now.
    if let Ok(mut socket) = TcpStream::connect(server.address) {
        let _ = socket.write_all(b"one\n");
    }
    let mut child = server.child.take().unwrap();
    assert_eq!(wait(&mut child, Instant::now() + RUN_TIME_MAX).code(), Some(0));
}

#[test]
fn two_programs_are_connected_and_both_are_printed() {
    let (target, peer) = peer(b"from the target\n");
    let server = Server::start(&["listen", "--once", "--forward", &target]);
    let mut socket = server.connect();
    socket.write_all(b"from the client\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&socket), b"from the target\n");
    assert_eq!(peer.join().unwrap().unwrap(), b"from the client\n");
    let ended = server.finish();
    ended.exits(0);
    let mut lines: Vec<&str> = ended.text().lines().collect();
    lines.sort();
    assert_eq!(lines, ["from the client", "from the target"]);
}

#[test]
fn a_recording_is_played_to_the_built_in_media_controller_and_compared() {
    let session = "#backbox-session 1\r\n#@0.000000\r\nhello?version=1.1\r\n#@0.010000\r\n#<hello?version=VERSION\r\n";
    let folder = Workdir::new();
    for (version, code, verdict) in [("1.1", 0, "PASS"), ("2.0", 1, "FAIL")] {
        folder.write("game.bcp", session.replace("VERSION", version));
        let arguments = ["replay", "--loopback", "--check", "--reply-timeout", "0.3", "game.bcp"];
        let ended = backbox_in(&folder, arguments, "");
        assert!(ended.exits(code).text().contains(verdict), "{ended:?}");
    }
}

#[test]
fn a_file_is_found_by_its_path() {
    let folder = Workdir::new();
    std::fs::create_dir(folder.path().join("games")).unwrap();
    let file = Path::new("games").join("one.bcp");
    std::fs::write(folder.path().join(&file), "trigger?name=x\r\n").unwrap();
    let ended = backbox_in(&folder, ["decode".as_ref(), file.as_os_str()], "");
    ended.exits(0).prints("{\"command\":\"trigger\",\"params\":{\"name\":\"x\"}}\n");
}
