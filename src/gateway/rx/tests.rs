use super::*;
use crate::gateway::charset::Charset;

const DATE_A: &str = "2008-05-27 12:10:11";

fn gbk(text: &str) -> Vec<u8> {
    Charset::Gbk.encode(text).unwrap()
}

/// Writes an answer in a line: the status, then records as `mobile content gateway` and faults
/// as `kind@offset`, decoded as GBK.
fn summary(body: &[u8]) -> String {
    let answer = parse(body);
    let mut line = match answer.status {
        _ if answer.is_empty => "empty".to_owned(),
        Some(status) => status.0.to_string(),
        None => "-".to_owned(),
    };
    for record in &answer.records {
        let content = Charset::Gbk.decode(record.content).text;
        let seam = if record.may_hold_two { " two?" } else { "" };
        line += &format!(" | {} {content} {}{seam}", record.mobile.as_str(), record.gateway);
    }
    for fault in &answer.faults {
        line += &format!(" ! {}@{}", fault.kind.as_str(), fault.offset);
    }
    line
}

fn check(body: &str, expected: &str) {
    assert_eq!(summary(&gbk(body)), expected, "{body:?}");
}

#[test]
fn the_providers_example_is_two_records() {
    let body = gbk(
        "100{&}13912341234||中国短信测试回复||2008-05-27 12:10:11||1068112227282{&}15912343333||中国短信测试回复2||2008-05-27 13:11:11||106811222728200",
    );
    let answer = parse(&body);
    assert_eq!(answer.status, Some(Status::OK));
    assert!(answer.faults.is_empty());
    let times: Vec<_> = answer.records.iter().map(|record| record.replied_at.to_string()).collect();
    assert_eq!(times, ["2008-05-27 12:10:11", "2008-05-27 13:11:11"]);
    let ends: Vec<_> = answer.records.iter().map(|record| record.ends_body).collect();
    assert_eq!(ends, [false, true]);
    assert_eq!(
        summary(&body),
        "100 | 13912341234 中国短信测试回复 1068112227282 | 15912343333 中国短信测试回复2 106811222728200"
    );
}

#[test]
fn heads_of_answers() {
    for empty in ["", " \r\n", "\t"] {
        check(empty, "empty");
    }
    assert_eq!(summary(b"\xef\xbb\xbf"), "empty");
    assert_eq!(summary(b"\xef\xbb\xbf\r\n100\r\n"), "100");
    for (body, expected) in [
        ("100", "100"),
        ("107\r\n", "107"),
        ("100{&}", "100"),
        ("100 {&}\n", "100"),
        ("9999", "9999"),
    ] {
        check(body, expected);
    }
    check(&format!("100\r\n{{&}}10086||TD||{DATE_A}||"), "100 | 10086 TD ");
    check(&format!("10086||TD||{DATE_A}||1069"), "- | 10086 TD 1069");
}

#[test]
fn other_protocols_are_one_fault() {
    for body in [
        "<html><body>502</body></html>",
        "{\"code\":100}",
        "13912341234",
        "error",
        "{&}",
        "12345{&}",
        &format!("<p>10086||TD||{DATE_A}||1069{{&}}10086||TD||{DATE_A}||1069"),
    ] {
        check(body, "- ! not_protocol@0");
    }
}

#[test]
fn customers_type_separators() {
    for content in [
        "",
        "||",
        "{&}",
        "a||b{&}c",
        "\r\n",
        "|",
        "{&",
        "中||国{&}",
        "||2008-05-27 12:10:11||",
        "||2008-05-27 12:10:11||12x",
    ] {
        let body = format!("100{{&}}10086||{content}||{DATE_A}||1069{{&}}10010||ok||{DATE_A}||");
        let seam = if content.contains("{&}") && content.ends_with("||") { " two?" } else { "" };
        check(&body, &format!("100 | 10086 {content} 1069{seam} | 10010 ok "));
    }
    // Two records, the first of which lost its date, are one reply and marked.
    check(
        &format!("100{{&}}10086||a{{&}}10010||b||{DATE_A}||1069"),
        "100 | 10086 a{&}10010||b 1069 two?",
    );
    // A whole record typed by a customer cannot be told from a record.
    check(
        &format!("100{{&}}10086||好的||{DATE_A}||1069{{&}}10010||同意||{DATE_A}||1069"),
        "100 | 10086 好的 1069 | 10010 同意 1069",
    );
}

#[test]
fn a_seam_is_near() {
    let seam = |gap: usize| has_seam(format!("x{{&}}{}||y", "1".repeat(gap)).as_bytes());
    assert!(seam(0) && seam(24));
    assert!(!seam(25));
    assert!(!has_seam(b"{&}|") && !has_seam(b"||{&}") && !has_seam(b""));
}

#[test]
fn characters_that_hold_separators() {
    // 億 = 83 7C and 珅 ends in 7C: `|` inside a character.
    check(&format!("100{{&}}10086||億||{DATE_A}||1069"), "100 | 10086 億 1069");
    check(&format!("100{{&}}10086||和珅||{DATE_A}||1069"), "100 | 10086 和珅 1069");
    // A lone lead byte right before the separators is the only thing lost.
    let mut body = b"100{&}10086||\xd6\xd0\xc4".to_vec();
    body.extend_from_slice(format!("||{DATE_A}||1069{{&}}10010||ok||{DATE_A}||1069").as_bytes());
    assert_eq!(summary(&body), "100 | 10086 中\u{fffd} 1069 | 10010 ok 1069");
}

#[test]
fn an_error_in_one_record_is_that_records() {
    let good = format!("10010||ok||{DATE_A}||1069");
    for (bad, kind) in [
        ("||x||2008-05-27 12:10:11||1", "no_number"),
        ("12||x||2008-05-27 12:10:11||1", "no_number"),
        ("123456789012345678901||x||2008-05-27 12:10:11||1", "no_number"),
        ("10086||2008-05-27 12:10:11||1", "no_number"),
        (" 10086||x||2008-05-27 12:10:11||1", "no_number"),
        ("10086||x||2008-02-30 12:10:11||1", "no_such_date"),
        ("10086||x||2008-05-27 25:10:11||1", "no_such_date"),
    ] {
        check(
            &format!("100{{&}}{good}{{&}}{bad}{{&}}{good}"),
            &format!("100 | 10010 ok 1069 | 10010 ok 1069 ! {kind}@45"),
        );
    }
    let answer_time = parse(b"100{&}x||2008-05-27 12:10:11||1").faults[0].replied_at;
    assert_eq!(answer_time, DATE_A.parse().ok());
}

#[test]
fn ends_of_bodies() {
    let record = format!("10010||ok||{DATE_A}||1069");
    for tail in ["", "{&}", "\r\n", "{&}\r\n", " {&}"] {
        let expected = if tail == " {&}" { "100 ! no_end@6" } else { "100 | 10010 ok 1069" };
        check(&format!("100{{&}}{record}{tail}"), expected);
    }
    let answer =
        |tail: &str| parse(format!("100{{&}}{record}{tail}").as_bytes()).records[0].ends_body;
    assert!(answer(""));
    assert!(!answer("{&}") && !answer("\n"));
}

#[test]
fn a_body_cut_anywhere_gives_whole_records_or_a_fault() {
    let record = |n: usize| format!("1390000000{n}||回复{n}||{DATE_A}||106900{n}{{&}}");
    let body = gbk(&format!("100{{&}}{}", (0..5).map(record).collect::<String>()));
    let whole = parse(&body).records.len();
    assert_eq!(whole, 5);
    for cut in 0..body.len() {
        let answer = parse(&body[..cut]);
        for (record, expected) in answer.records.iter().zip(parse(&body).records) {
            assert_eq!((&record.mobile, record.content), (&expected.mobile, expected.content));
            assert!(expected.gateway.starts_with(record.gateway));
            assert!(record.gateway == expected.gateway || record.ends_body);
        }
        assert!(answer.faults.len() <= 1, "cut at {cut}");
    }
}

/// Every two-byte code of GBK, in four positions of a content, between neighbours that are full
/// of separators.
#[test]
fn every_two_byte_character_comes_through_in_every_position() {
    let mut exact = 0;
    for lead in 0x81..=0xfe_u8 {
        for trail in (0x40..=0xfe_u8).filter(|byte| *byte != 0x7f) {
            let code = [lead, trail];
            let contents = [
                code.to_vec(),
                [&code[..], b"||b"].concat(),
                [b"a{&}", &code[..]].concat(),
                [b"a|", &code[..], b"{b"].concat(),
            ];
            exact += usize::from(through_a_body(&contents));
        }
    }
    // GBK has 23,940 two-byte codes. All but A3 A0, which is no character, come through exactly.
    assert_eq!(exact, 126 * 190 - 1);
}

#[test]
fn every_cut_lead_byte_is_marked_and_touches_no_neighbour() {
    for lead in 0x81..=0xff_u8 {
        let contents = [
            vec![lead],
            [b"a", &[lead][..]].concat(),
            [&[lead][..], b"|"].concat(),
            [&[lead][..], b"||"].concat(),
        ];
        through_a_body(&contents);
        for cut_at_end in &contents[..2] {
            let decoded = Charset::Gbk.decode(cut_at_end);
            assert!(decoded.lossy && decoded.text.ends_with('\u{fffd}'), "{lead:x}");
        }
    }
}

/// Sends contents through one body; they must come out as the same bytes, each decoded either
/// back to the very same bytes or marked. Says whether all came through exactly.
fn through_a_body(contents: &[Vec<u8>]) -> bool {
    let mut body = b"100".to_vec();
    for content in contents {
        body.extend_from_slice(b"{&}10086||");
        body.extend_from_slice(content);
        body.extend_from_slice(format!("||{DATE_A}||1069").as_bytes());
    }
    let answer = parse(&body);
    assert!(answer.faults.is_empty(), "{contents:x?}");
    let found: Vec<&[u8]> = answer.records.iter().map(|record| record.content).collect();
    assert_eq!(found, contents);
    contents.iter().all(|content| {
        let decoded = Charset::Gbk.decode(content);
        // GB18030's encoder is the oracle: GBK's own writes the euro sign, A2 E3, as the byte 80.
        let (back, _, unmappable) = encoding_rs::GB18030.encode(&decoded.text);
        let exact = !unmappable && back.as_ref() == content.as_slice();
        assert!(decoded.lossy || exact, "{content:x?} read as other bytes");
        !decoded.lossy
    })
}
