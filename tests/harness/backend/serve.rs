//! The threads of a backend: one accepts, one serves each connection.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::json;
use socket2::SockRef;

use super::script::{Answer, Body, Ending, Payload, Script};
use super::{Recorded, Shared, lock};
use crate::wire::{Framing, Headers, Wire, declared, malformed};

pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
        lock(&shared.streams).insert(number, stream.try_clone().expect("a second handle"));
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            serve(stream, number, &shared);
            lock(&shared.streams).remove(&number);
        });
    }
}

fn serve(stream: TcpStream, number: usize, shared: &Shared) {
    stream.set_nodelay(true).ok();
    let mut wire = Wire::new(stream);
    loop {
        match exchange(&mut wire, number, shared) {
            Ok(true) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                lock(&shared.faults).push(format!("connection {number}: {error}"));
                return wire.stream.shutdown(Shutdown::Both).unwrap_or_default();
            }
            // Or the peer went away in the middle: its right, and the test's business.
            Ok(false) | Err(_) => return,
        }
    }
}

/// Serves one request; `true`: the connection goes on.
fn exchange(wire: &mut Wire, number: usize, shared: &Shared) -> io::Result<bool> {
    let Some(line) = wire.line()? else {
        return Ok(false);
    };
    let mut request = head(&line, wire.headers()?, number)?;
    let script = choose(shared, &request.target);
    if !script.leaves_body {
        read_body(wire, &mut request)?;
    }
    lock(&shared.requests).push(request.clone());
    if let Some(gate) = &script.gate {
        gate.pass();
    }
    for status in &script.interim {
        wire.write(format!("HTTP/1.1 {status} Interim\r\n\r\n").as_bytes())?;
    }
    answer(wire, &script.payload, &request, &shared.name)?;
    if script.leaves_body && script.ending == Ending::Close {
        // Closing over unread bytes would be a reset, and could take the answer with it.
        wire.stream.shutdown(Shutdown::Write)?;
        while wire.fill()? {}
    }
    end(wire, script.ending, &request)
}

fn head(line: &str, headers: Headers, connection: usize) -> io::Result<Recorded> {
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = parts[..] else {
        return Err(malformed(format!("request line {line:?}")));
    };
    if version == "HTTP/1.1" && headers.all("host").len() != 1 {
        return Err(malformed(format!(
            "hosts {:?} with {line:?}",
            headers.all("host")
        )));
    }
    let (method, target, version) = (method.to_owned(), target.to_owned(), version.to_owned());
    let (body, trailers) = (Vec::new(), Headers::default());
    Ok(Recorded {
        connection,
        method,
        target,
        version,
        headers,
        body,
        trailers,
    })
}

fn choose(shared: &Shared, target: &str) -> Script {
    let path = target.split('?').next().unwrap_or(target);
    let mut scripts = lock(&shared.scripts);
    let next = scripts.next.pop_front();
    next.or_else(|| scripts.by_path.get(path).cloned())
        .unwrap_or_else(|| scripts.otherwise.clone())
}

fn read_body(wire: &mut Wire, request: &mut Recorded) -> io::Result<()> {
    if request.headers.has_token("expect", "100-continue") {
        wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    // A request without a length has no body: RFC 9112, section 6.3.
    let framing = declared(&request.headers)?.unwrap_or(Framing::Length(0));
    (request.body, request.trailers) = wire.body(framing)?;
    Ok(())
}

fn answer(wire: &mut Wire, payload: &Payload, request: &Recorded, name: &str) -> io::Result<()> {
    match payload {
        Payload::Echo => {
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            let body = Body::Sized(echo(request, name).into_bytes());
            write_answer(
                wire,
                &Answer {
                    status: 200,
                    headers,
                    body,
                },
                request,
                name,
            )
        }
        Payload::Answer(answer) => write_answer(wire, answer, request, name),
        Payload::Raw(bytes) => wire.write(bytes),
        Payload::Upgrade => upgrade(wire, request),
    }
}

fn echo(request: &Recorded, name: &str) -> String {
    let echo = json!({
        "backend": name,
        "method": request.method,
        "target": request.target,
        "version": request.version,
        "headers": request.headers.0,
        "length": request.body.len(),
        "body": request.text(),
    });
    echo.to_string()
}

fn write_answer(
    wire: &mut Wire,
    answer: &Answer,
    request: &Recorded,
    name: &str,
) -> io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {} Scripted\r\nx-backend: {name}\r\n",
        answer.status
    );
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").expect("a String takes all");
    }
    let bodiless = matches!(answer.status, 100..200 | 204 | 304);
    match &answer.body {
        Body::Sized(body) if !bodiless => {
            write!(head, "content-length: {}\r\n", body.len()).expect("a String takes all");
        }
        Body::Chunked(..) => head += "transfer-encoding: chunked\r\n",
        Body::Sized(_) | Body::UntilClose(_) => {}
    }
    let mut message = (head + "\r\n").into_bytes();
    if request.method == "HEAD" || bodiless {
        return wire.write(&message);
    }
    match &answer.body {
        // Head and body leave together, as most servers write them.
        Body::Sized(body) | Body::UntilClose(body) => {
            message.extend_from_slice(body);
            wire.write(&message)
        }
        Body::Chunked(chunks, gate) => {
            wire.write(&message)?;
            for chunk in chunks {
                gate.iter().for_each(super::Gate::pass);
                let mut framed = format!("{:x}\r\n", chunk.len()).into_bytes();
                framed.extend_from_slice(chunk);
                framed.extend_from_slice(b"\r\n");
                wire.write(&framed)?;
            }
            gate.iter().for_each(super::Gate::pass);
            wire.write(b"0\r\n\r\n")
        }
    }
}

fn upgrade(wire: &mut Wire, request: &Recorded) -> io::Result<()> {
    let protocol = request.header("upgrade").unwrap_or("websocket");
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n"
    );
    wire.write(head.as_bytes())?;
    loop {
        let bytes = wire.take_ahead();
        wire.write(&bytes)?;
        if !wire.fill()? {
            return Ok(());
        }
    }
}

fn end(wire: &mut Wire, ending: Ending, request: &Recorded) -> io::Result<bool> {
    let asked = request.headers.has_token("connection", "close") || request.version == "HTTP/1.0";
    match ending {
        Ending::Keep if !asked => return Ok(true),
        Ending::Keep | Ending::Close => wire.stream.shutdown(Shutdown::Both)?,
        Ending::Reset => reset(wire)?,
        Ending::Stall => while wire.fill()? {},
    }
    Ok(false)
}

/// With a linger of zero the last close sends RST; the copy kept for `stop` must go first.
fn reset(wire: &mut Wire) -> io::Result<()> {
    wire.stream.flush()?;
    SockRef::from(&wire.stream).set_linger(Some(Duration::ZERO))
}
