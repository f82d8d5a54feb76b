//! Over real loopback, by a client that is nothing but a socket.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::gateway::charset::Charset;

const UID: &str = "9999";
const LOGIN: &str = "uid=9999&pwd=fa246d0262c3925617b0c72bb20eeb1d";
const EXAMPLE: &str = "100{&}13912341234||中国短信测试回复||2008-05-27 12:10:11||1068112227282\
                       {&}15912343333||中国短信测试回复2||2008-05-27 13:11:11||106811222728200";

async fn start(habits: Habits) -> Simulator {
    let options = Options { habits, ..Options::default() };
    Simulator::start(options, Clock::system()).await.unwrap()
}

/// A gateway that may be read at any time, with the document's replies in its box.
async fn with_example(consume: Consume) -> Simulator {
    let simulator =
        start(Habits { consume, min_interval: Duration::ZERO, ..Habits::default() }).await;
    for (mobile, content, replied_at, gateway) in [
        ("13912341234", "中国短信测试回复", "2008-05-27 12:10:11", "1068112227282"),
        ("15912343333", "中国短信测试回复2", "2008-05-27 13:11:11", "106811222728200"),
    ] {
        let replied_at = replied_at.parse().unwrap();
        simulator.arrive(UID, NewReply::text(mobile, content, replied_at, gateway));
    }
    simulator
}

fn example() -> Vec<u8> {
    Charset::Gbk.encode(EXAMPLE).unwrap()
}

async fn ask(simulator: &Simulator, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(simulator.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Head and body of an answer, as they are on the wire.
async fn call(simulator: &Simulator, request: &str) -> (String, Vec<u8>) {
    let mut answer = Vec::new();
    ask(simulator, request).await.read_to_end(&mut answer).await.unwrap();
    split(&answer)
}

fn split(answer: &[u8]) -> (String, Vec<u8>) {
    let Some(at) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (String::new(), answer.to_vec());
    };
    (String::from_utf8(answer[..at + 2].to_vec()).unwrap(), answer[at + 4..].to_vec())
}

async fn get(simulator: &Simulator, target: &str) -> Vec<u8> {
    call(simulator, &format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await.1
}

async fn post(simulator: &Simulator, path: &str, form: &str) -> Vec<u8> {
    let length = form.len();
    let request = format!("POST {path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{form}");
    call(simulator, &request).await.1
}

async fn rx(simulator: &Simulator) -> (String, Vec<u8>) {
    call(simulator, &format!("GET /rx/?{LOGIN} HTTP/1.1\r\n\r\n")).await
}

fn last_request(simulator: &Simulator) -> ReadRequest {
    simulator.requests().last().unwrap().clone()
}

#[tokio::test]
async fn routes_and_logins_answer_by_the_document() {
    let simulator = with_example(Consume::AtRequest).await;
    for (target, expected) in [
        ("/rx/?uid=9999&pwd=wrong".to_owned(), "101"),
        ("/rx".to_owned(), "101"),
        ("/tx/?uid=9999".to_owned(), "101"),
        ("/mm/?uid=1".to_owned(), "101"),
        (format!("/rx/?{LOGIN}&time=2008-05-27"), "103"),
        (format!("/rx/?{LOGIN}&time="), "103"),
        (format!("/mm?{LOGIN}"), "100||22348"),
        (format!("/mm/?{LOGIN}&cmd=send"), "100||0"),
    ] {
        assert_eq!(get(&simulator, &target).await, expected.as_bytes(), "{target}");
    }
    assert_eq!(simulator.waiting(UID), 2, "none of these was a read");
    let (head, _) = call(&simulator, "GET /none HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    assert_eq!(post(&simulator, "/rx", LOGIN).await, example());
    assert_eq!(get(&simulator, &format!("/rx?{LOGIN}")).await, b"");
    let of_hour = get(&simulator, &format!("/rx?{LOGIN}&time=2008-05-27_13")).await;
    assert!(of_hour.starts_with(b"100{&}15912343333||"));
    let request = last_request(&simulator);
    assert_eq!(request.asked, Asked::Hour("2008-05-27_13".parse().unwrap()));
    assert_eq!((request.status, request.ending), (Some(Status::OK), Ending::Whole));
    assert_eq!(simulator.requests().len(), 7);
    simulator.set_status(UID, Some(Status::FROZEN));
    for route in ["rx", "tx", "mm"] {
        assert_eq!(get(&simulator, &format!("/{route}/?{LOGIN}")).await, b"109");
    }
}

#[tokio::test]
async fn the_interval_is_kept_on_the_clock_given() {
    for habits in Habits::all() {
        let options = Options { habits, ..Options::default() };
        let clock = Clock::fast(crate::time::UnixMs(0), 100_000);
        let simulator = Simulator::start(options, clock.clone()).await.unwrap();
        get(&simulator, &format!("/rx/?{LOGIN}")).await;
        clock.sleep(habits.min_interval).await;
        get(&simulator, &format!("/rx/?{LOGIN}")).await;
        assert_eq!(simulator.early_reads(), 0, "{habits:?}");
        let slow = start(habits).await;
        slow.arrive(UID, NewReply::text("13900000001", "好", clock.unix().beijing(), ""));
        get(&slow, &format!("/rx/?{LOGIN}")).await;
        let early = get(&slow, &format!("/rx/?{LOGIN}")).await;
        assert!([&b"107"[..], b"103", b""].contains(&early.as_slice()));
        assert_eq!(slow.early_reads(), 1, "{habits:?}");
        assert!(last_request(&slow).early);
    }
}

#[tokio::test]
async fn utf8_is_answered_where_the_host_honours_it() {
    for honours_encode in [false, true] {
        let simulator = start(Habits { honours_encode, ..Habits::default() }).await;
        let at = "2008-05-27 12:10:11".parse().unwrap();
        simulator.arrive(UID, NewReply::text("13900000001", "模", at, ""));
        let body = get(&simulator, &format!("/rx/?{LOGIN}&encode=utf8")).await;
        let charset = if honours_encode { Charset::Utf8 } else { Charset::Gbk };
        let expected = "100{&}13900000001||模||2008-05-27 12:10:11||";
        assert_eq!(body, charset.encode(expected).unwrap());
    }
}

#[tokio::test]
async fn messages_are_checked_and_recorded() {
    let simulator = start(Habits::default()).await;
    let numbers = |count: usize| vec!["13900000001"; count].join(",");
    let target = |fields: &str| format!("/tx/?{LOGIN}&{fields}");
    for (fields, expected) in [
        ("mobile=13900000001,0218882228&content=%D6%D0+a&mid=01".to_owned(), "100"),
        ("mobile=13900000001&content=%E4%B8%AD&encode=utf8&time=2008-05-27+12:10".into(), "100"),
        ("mobile=13900000001&content=%D6%D0&encode=utf8".into(), "104"),
        ("mobile=13900000001&content=%FF".into(), "104"),
        (format!("mobile={}&content=a", numbers(51)), "106"),
        ("mobile=&content=a".into(), "108"),
        ("mobile=13900000001".into(), "108"),
        ("mobile=13900000001,&content=a".into(), "112"),
        ("mobile=1390000000x&content=a".into(), "112"),
        ("mobile=13900000001&content=a&time=2008-05-27+12:10:11".into(), "113"),
        ("mobile=13900000001&content=a&time=2008-02-30+12:10".into(), "113"),
    ] {
        assert_eq!(get(&simulator, &target(&fields)).await, expected.as_bytes(), "{fields}");
    }
    for (count, expected) in [(2000, "100"), (2001, "106")] {
        let form = format!("{LOGIN}&mobile={}&content=a", numbers(count));
        assert_eq!(post(&simulator, "/tx", &form).await, expected.as_bytes());
    }
    let sent = simulator.sent();
    let said: Vec<_> = sent.iter().map(|sent| sent.message.content.as_str()).collect();
    assert_eq!(said, ["中 a", "中", "a"]);
    assert_eq!(sent[0].message.mid.as_deref(), Some("01"));
    assert_eq!(sent[1].message.send_at, "2008-05-27 12:10:00".parse().ok());
    assert_eq!(sent[2].message.mobiles.len(), 2000);
    assert_eq!(get(&simulator, &format!("/mm/?{LOGIN}")).await, b"100||20345");
    assert_eq!(get(&simulator, &format!("/mm/?{LOGIN}&cmd=send")).await, b"100||2003");
    for _ in 0..10 {
        post(&simulator, "/tx", &format!("{LOGIN}&mobile={}&content=a", numbers(2000))).await;
    }
    let form = format!("{LOGIN}&mobile={}&content=a", numbers(346));
    assert_eq!(post(&simulator, "/tx", &form).await, b"102");
}

#[tokio::test]
async fn a_form_that_waits_to_be_asked_for_is_asked_for() {
    let simulator = start(Habits::default()).await;
    let length = LOGIN.len();
    let head =
        format!("POST /mm HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n");
    let mut stream = ask(&simulator, &head).await;
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(LOGIN.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(split(&answer).1, b"100||22348");
}

/// Asks for a fault under every way to consume, and checks the framing told in the head, the
/// body's bytes as they came, and what is left in the box.
async fn check(fault: Fault, framing: &str, body: &[u8], ending: Ending) {
    for consume in [Consume::AtRequest, Consume::AtLastByte, Consume::AtNextRead] {
        let simulator = with_example(consume).await;
        simulator.fault_next(fault.clone());
        let (head, came) = rx(&simulator).await;
        let told = |name: &str| head.contains(name);
        let framed = framing.is_empty() || told(&format!("\r\n{framing}\r\n"));
        assert!(framed, "{fault:?}: {head}");
        assert!(!framing.is_empty() || !(told("content-length") || told("chunked")), "{head}");
        assert_eq!(came, body, "{fault:?}");
        let request = last_request(&simulator);
        assert_eq!((request.ending, request.handed_out), (ending, 2), "{fault:?}");
        let again = rx(&simulator).await.1;
        let consumed = ending == Ending::Whole || consume == Consume::AtRequest;
        let expected = if consumed { Vec::new() } else { example() };
        assert_eq!(again, expected, "{fault:?} {consume:?}");
    }
}

#[tokio::test]
async fn a_cut_body_announces_what_does_not_come() {
    let body = example();
    let length = format!("content-length: {}", body.len());
    check(Fault::CutBody { after: 21 }, &length, &body[..21], Ending::Broken).await;
    check(Fault::CutBody { after: 0 }, &length, b"", Ending::Broken).await;
    check(
        Fault::CutBody { after: body.len() - 1 },
        &length,
        &body[..body.len() - 1],
        Ending::Broken,
    )
    .await;
    check(Fault::CutBody { after: body.len() }, &length, &body, Ending::Whole).await;
}

#[tokio::test]
async fn a_chunked_body_is_whole_or_lacks_its_last_chunk() {
    let (body, chunked) = (example(), "transfer-encoding: chunked");
    let cut = [b"15\r\n", &body[..21], b"\r\n"].concat();
    check(Fault::CutChunked { after: 21 }, chunked, &cut, Ending::Broken).await;
    check(Fault::CutChunked { after: 0 }, chunked, b"", Ending::Broken).await;
    let all = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat();
    check(Fault::CutChunked { after: usize::MAX }, chunked, &all, Ending::Broken).await;
    let (first, second) = body.split_at(body.len() / 2);
    let sizes = [format!("{:x}\r\n", first.len()), format!("\r\n{:x}\r\n", second.len())];
    let whole =
        [sizes[0].as_bytes(), first, sizes[1].as_bytes(), second, b"\r\n0\r\n\r\n"].concat();
    check(Fault::Chunked, chunked, &whole, Ending::Whole).await;
}

#[tokio::test]
async fn an_answer_never_given_is_consumed_by_habit() {
    check(Fault::CloseWithoutReading, "", b"", Ending::Broken).await;
}

#[tokio::test]
async fn a_body_without_length_ends_with_the_connection() {
    check(Fault::NoLength, "", &example(), Ending::Whole).await;
}

#[tokio::test]
async fn a_body_cut_without_length_looks_whole() {
    let body = example();
    check(Fault::CutUnannounced { after: 21 }, "", &body[..21], Ending::Broken).await;
    check(Fault::CutUnannounced { after: 0 }, "", b"", Ending::Broken).await;
    check(Fault::CutUnannounced { after: body.len() }, "", &body, Ending::Whole).await;
}

#[tokio::test]
async fn a_fault_of_an_account_waits_for_it_and_comes_first() {
    let simulator = with_example(Consume::AtRequest).await;
    let replied_at = "2008-05-27 12:10:12".parse().unwrap();
    simulator.fault_next_of("another", Fault::CloseWithoutReading);
    simulator.fault_next(Fault::CutBody { after: 3 });
    simulator.fault_next_of(UID, Fault::CutBody { after: 2 });
    assert_eq!(rx(&simulator).await.1, b"10");
    simulator.arrive(UID, NewReply::text("13900000001", "a", replied_at, ""));
    assert_eq!(rx(&simulator).await.1, b"100");
    simulator.arrive(UID, NewReply::text("13900000001", "b", replied_at, ""));
    assert!(rx(&simulator).await.1.len() > 3);
}

#[tokio::test]
async fn a_dribbled_body_is_whole() {
    let body = example();
    let fault = Fault::Dribble { piece: 7, pause: Duration::from_millis(1) };
    check(fault, &format!("content-length: {}", body.len()), &body, Ending::Whole).await;
}

#[tokio::test]
async fn bytes_around_the_body_are_counted() {
    let newline = [&example(), &b"\r\n"[..]].concat();
    let length = format!("content-length: {}", newline.len());
    check(Fault::TrailingNewline, &length, &newline, Ending::Whole).await;
    let marked = [&b"\xef\xbb\xbf"[..], &example()].concat();
    let length = format!("content-length: {}", marked.len());
    check(Fault::ByteOrderMark, &length, &marked, Ending::Whole).await;
}

#[tokio::test]
async fn a_stall_breaks_the_answer_when_it_is_over() {
    let body = example();
    let length = format!("content-length: {}", body.len());
    let fault = Fault::Stall { after: 30, for_real: Duration::from_millis(1) };
    check(fault, &length, &body[..30], Ending::Broken).await;
}

#[tokio::test]
async fn stopping_ends_a_stall() {
    let simulator = with_example(Consume::AtLastByte).await;
    simulator.fault_next(Fault::Stall { after: 3, for_real: Duration::from_hours(1) });
    let mut stream = ask(&simulator, &format!("GET /rx?{LOGIN} HTTP/1.1\r\n\r\n")).await;
    let mut came = Vec::new();
    while !came.ends_with(b"\r\n\r\n100") {
        assert_ne!(stream.read_buf(&mut came).await.unwrap(), 0);
    }
    assert_eq!(last_request(&simulator).ending, Ending::Open);
    // A connection that asks nothing must not hold up the stop either.
    let _idle = TcpStream::connect(simulator.address()).await.unwrap();
    simulator.stop().await;
    assert_eq!(last_request(&simulator).ending, Ending::Broken);
    assert_eq!(simulator.waiting(UID), 2);
    assert_eq!(stream.read_buf(&mut came).await.unwrap(), 0);
    assert!(TcpStream::connect(simulator.address()).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn an_answer_that_the_client_did_not_wait_for_is_broken() {
    let simulator = with_example(Consume::AtLastByte).await;
    let at = "2008-05-27 12:10:11".parse().unwrap();
    // More than the sockets' buffers can hold.
    let content = vec![b'a'; 32 * 1024 * 1024];
    simulator.arrive(UID, NewReply { content, ..NewReply::text("13900000001", "", at, "") });
    let mut events = simulator.events();
    drop(ask(&simulator, &format!("GET /rx?{LOGIN} HTTP/1.1\r\n\r\n")).await);
    let SimulatorEvent::Read(request) = events.recv().await.unwrap() else { panic!("a read") };
    assert_eq!((request.ending, request.handed_out), (Ending::Broken, 3));
    assert_eq!(simulator.waiting(UID), 3);
    assert_eq!(simulator.ledger()[2].handed_out, 0);
}

#[tokio::test]
async fn what_answers_in_the_gateways_place_consumes_nothing() {
    let page = Fault::Answer {
        http_status: 200,
        content_type: "text/html".into(),
        body: b"<html>".to_vec(),
    };
    let redirect =
        Fault::Answer { http_status: 302, content_type: "text/html".into(), body: Vec::new() };
    let location = format!("location: /rx/?{LOGIN}\r\n");
    for consume in [Consume::AtRequest, Consume::AtLastByte, Consume::AtNextRead] {
        let simulator = with_example(consume).await;
        for (fault, told, body) in [
            (page.clone(), "content-type: text/html\r\n", &b"<html>"[..]),
            (redirect.clone(), location.as_str(), b""),
            (Fault::Status(Status::FROZEN), "HTTP/1.1 200 ", b"109"),
        ] {
            simulator.fault_next(fault.clone());
            let (head, came) = rx(&simulator).await;
            assert!(head.contains(told), "{fault:?}: {head}");
            assert_eq!(came, body, "{fault:?}");
            assert_eq!(simulator.waiting(UID), 2, "{fault:?}");
        }
        assert_eq!(last_request(&simulator).status, Some(Status::FROZEN));
        simulator.fault_next(Fault::Repeat);
        assert_eq!(rx(&simulator).await.1, example(), "a cache that has nothing asks");
        let late = NewReply::text("13900000001", "晚", "2008-05-27 14:00:00".parse().unwrap(), "");
        let number = simulator.arrive(UID, late);
        simulator.fault_next(Fault::Repeat);
        assert_eq!(rx(&simulator).await.1, example());
        assert_eq!(simulator.ledger()[0].handed_out, 1);
        let fresh = rx(&simulator).await.1;
        assert!(fresh.starts_with(b"100{&}13900000001||"));
        assert_eq!(simulator.ledger()[number].handed_out, 1);
    }
}

#[tokio::test]
async fn chaos_is_its_seeds() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let simulator = with_example(Consume::AtLastByte).await;
        simulator.set_chaos(Some(Chaos { seed, percent: 50 }));
        let target = format!("/rx/?{LOGIN}&time=2008-05-27_12");
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(get(&simulator, &target).await);
        }
        let requests = simulator.requests();
        let broken = requests.iter().filter(|request| request.ending == Ending::Broken).count();
        assert!((1..20).contains(&broken), "{broken} of 20");
        simulator.set_chaos(None);
        assert!(get(&simulator, &target).await.starts_with(b"100{&}13912341234"));
        runs.push(answers);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn listeners_are_told_what_happens() {
    let simulator = start(Habits::default()).await;
    let mut events = simulator.events();
    let at = "2008-05-27 12:10:11".parse().unwrap();
    simulator.arrive(UID, NewReply::text("13900000001", "好", at, ""));
    rx(&simulator).await;
    get(&simulator, &format!("/tx/?{LOGIN}&mobile=13900000001&content=a")).await;
    let arrived = events.try_recv().unwrap();
    assert!(matches!(arrived, SimulatorEvent::Arrived { number: 0, .. }), "{arrived:?}");
    assert_eq!(events.try_recv().unwrap(), SimulatorEvent::Read(last_request(&simulator)));
    let sent = events.try_recv().unwrap();
    assert_eq!(sent, SimulatorEvent::Sent(simulator.sent()[0].clone()));
    assert!(!format!("{sent:?}").contains("13900000001"));
}
