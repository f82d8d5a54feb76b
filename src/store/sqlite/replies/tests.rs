use super::*;
use crate::store::sqlite::schema;
use crate::store::sqlite::search::tests::{kept, take};

const MINE: &str = "13900000001";
const HERS: &str = "13900000002";

/// What a test knows of a reply that it put.
#[derive(Clone, Debug)]
struct Put {
    seq: i64,
    id: String,
    account: &'static str,
    mobile: &'static str,
    replied_at: i64,
    content: String,
    suspect: bool,
    states: Vec<DeliveryState>,
}

/// Sixty replies of two accounts and two people, several of one second, whose deliveries stand in
/// every state; some were told again as new.
fn full() -> (Connection, Vec<Put>) {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    schema::bring_up_to_date(&mut connection).unwrap();
    connection
        .execute_batch(
            "INSERT INTO account (name, id_key, settings, login, box) VALUES ('main', x'00', '', x'00', x'00'),
                                                                             ('other', x'00', '', x'00', x'00');
             INSERT INTO read (id, account, state, charset, started_ms, deadline_boot, deadline_boot_ms)
                 VALUES (7, 'main', 'ingested', 'gbk', 1, '', 1);
             INSERT INTO subscriber (name, route, enabled) VALUES ('crm', '{}', 1);",
        )
        .unwrap();
    let mut all = Vec::new();
    for number in 0..60_i64 {
        let state = DeliveryState::ALL.get(usize::try_from(number).unwrap() % 7).copied();
        let mut put = Put {
            seq: number + 1,
            id: format!("rpl_{:032x}", number * 7919),
            account: if number % 4 == 0 { "other" } else { "main" },
            mobile: if number % 3 == 0 { MINE } else { HERS },
            // Neither the order in which they were kept nor one without equal times.
            replied_at: 1_000_000 + (number * 37 % 60) / 3,
            content: format!("好的{}100%_", if number % 2 == 0 { "TD" } else { "td" }),
            suspect: number % 5 == 0,
            states: state.into_iter().collect(),
        };
        if number % 10 == 0 {
            put.states.push(DeliveryState::Failed);
        }
        insert(&connection, &put);
        all.push(put);
    }
    (connection, all)
}

fn insert(connection: &Connection, put: &Put) {
    connection
        .execute(
            "INSERT INTO reply (seq, id, identity, occurrence, account, mobile, replied_at, content, gateway, suspect,
                                in_reply_to, read_id, kept_ms)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, '1068', ?8, 'msg_1', 7, 5)",
            params![
                put.seq,
                put.id,
                put.seq.to_be_bytes(),
                put.account,
                put.mobile,
                put.replied_at,
                put.content,
                put.suspect.then_some("time_far")
            ],
        )
        .unwrap();
    let mut ids = vec![(put.id.clone(), None)];
    if put.states.len() > 1 {
        ids.push((put.id.replace("rpl_", "rpn_"), Some(&put.id)));
    }
    for (number, (id, replay_of)) in ids.iter().enumerate() {
        let body = "{}";
        connection
            .execute(
                "INSERT INTO event (id, type, body, mobile, replied_at, replay_of)
                 VALUES (?1, 'reply.received', ?2, ?3, ?4, ?5)",
                params![id, body, put.mobile, put.replied_at, replay_of],
            )
            .unwrap();
        let Some(state) = put.states.get(number) else { continue };
        connection
            .execute(
                "INSERT INTO delivery (subscriber, event_seq, trigger, state, created_ms, due_ms)
                 VALUES ('crm', ?1, 'auto', ?2, 1, 1)",
                params![connection.last_insert_rowid(), kept(*state)],
            )
            .unwrap();
        if *state == DeliveryState::Sending {
            take(connection, "crm", connection.last_insert_rowid(), 1);
        }
    }
}

/// Whether a reply is what is looked for.
type Fits = fn(&Put) -> bool;

fn filters() -> Vec<(ReplyFilter, Fits)> {
    use DeliveryState::{Cancelled, Delivered, Failed, Held, Sending, Waiting};
    let any = ReplyFilter::default;
    let of = |states: &[DeliveryState]| ReplyFilter { states: states.to_vec(), ..any() };
    let mine = || Mobile::parse("+8613900000001");
    let text = |text: &str| ReplyFilter { text: Some(text.to_owned()), ..any() };
    let at = |seconds: i64| Some(UnixMs(seconds * 1000));
    vec![
        (any(), |_| true),
        (ReplyFilter { account: Some("main".to_owned()), ..any() }, |put| put.account == "main"),
        (ReplyFilter { mobile: mine(), ..any() }, |put| put.mobile == MINE),
        (text("TD"), |put| put.content.contains("TD")),
        (text("%"), |_| true),
        (text("_%"), |_| false),
        (ReplyFilter { from: at(1_000_005), ..any() }, |put| put.replied_at >= 1_000_005),
        (ReplyFilter { to: at(1_000_005), ..any() }, |put| put.replied_at < 1_000_005),
        (
            ReplyFilter {
                from: Some(UnixMs(1_000_004_001)),
                to: Some(UnixMs(1_000_009_001)),
                ..any()
            },
            |put| (1_000_005..=1_000_009).contains(&put.replied_at),
        ),
        (ReplyFilter { suspect: true, ..any() }, |put| put.suspect),
        (of(&[Failed]), |put| put.states.contains(&Failed)),
        (of(&[Held]), |put| put.states.contains(&Held)),
        (of(&[Waiting, Cancelled]), |put| {
            put.states.contains(&Waiting) || put.states.contains(&Cancelled)
        }),
        (of(&[Delivered, Sending]), |put| {
            put.states.contains(&Delivered) || put.states.contains(&Sending)
        }),
        (ReplyFilter { mobile: mine(), ..of(&[Failed]) }, |put| {
            put.mobile == MINE && put.states.contains(&Failed)
        }),
    ]
}

/// All that the filter lets through, a few at a time.
fn paged(
    connection: &Connection,
    filter: &ReplyFilter,
    order: Order,
    limit: usize,
) -> Vec<ReplyRow> {
    let (mut rows, mut behind) = (Vec::new(), None);
    loop {
        let stretch = Stretch { order, behind, limit, newest: Some(1_000) };
        let page = page(connection, filter, &stretch).unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        behind = page.next;
        if behind.is_none() {
            return rows;
        }
    }
}

#[test]
fn every_filter_lets_through_what_it_says_in_either_order_whatever_the_stretches() {
    let (connection, all) = full();
    for (number, (filter, fits)) in filters().into_iter().enumerate() {
        let mut expected: Vec<&Put> = all.iter().filter(|put| fits(put)).collect();
        expected.sort_by_key(|put| (put.replied_at, put.account, put.seq));
        let mut expected: Vec<&str> = expected.iter().map(|put| put.id.as_str()).collect();
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for limit in [1, 7, 1_000] {
                let rows = paged(&connection, &filter, order, limit);
                let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
                assert_eq!(ids, expected, "filter {number}, {order:?}, {limit} at a time");
            }
            expected.reverse();
        }
    }
}

#[test]
fn states_that_many_deliveries_are_in_are_looked_for_reply_by_reply() {
    let (connection, all) = full();
    let filter = ReplyFilter { states: vec![DeliveryState::Failed], ..ReplyFilter::default() };
    assert!(matches!(start(&connection, &filter).unwrap(), Start::States(_)));
    let ids = |start: &Start| {
        let sql = sql(start, &filter, Order::OldestFirst);
        let none = rusqlite::types::Null;
        let parameters =
            params![none, none, none, i64::MIN, i64::MAX, false, none, i64::MIN, "", 0, 1_000];
        let mut statement = connection.prepare(&sql).unwrap();
        let ids = statement.query_map(parameters, |row| row.get(1)).unwrap();
        ids.collect::<Result<Vec<String>, _>>().unwrap()
    };
    let by_reply = ids(&Start::Replies);
    assert_eq!(by_reply, ids(&start(&connection, &filter).unwrap()));
    assert_eq!(
        by_reply.len(),
        all.iter().filter(|put| put.states.contains(&DeliveryState::Failed)).count()
    );
    let delivered = ReplyFilter { states: vec![DeliveryState::Delivered], ..filter };
    assert_eq!(start(&connection, &delivered).unwrap(), Start::Replies);
}

#[test]
fn a_stretch_of_the_replies_begins_in_the_index() {
    let (connection, _) = full();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let sql =
            format!("EXPLAIN QUERY PLAN {}", sql(&Start::Replies, &ReplyFilter::default(), order));
        let mut statement = connection.prepare(&sql).unwrap();
        let mut rows = statement.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().unwrap() {
            plan += &(row.get::<_, String>(3).unwrap() + "\n");
        }
        assert!(plan.contains("SEARCH reply USING INDEX reply_time (replied_at"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn a_stretch_ends_early_where_texts_are_long_and_at_the_newest_that_is_named() {
    let (connection, mut all) = full();
    connection.execute("UPDATE reply SET content = printf('%*s', 3000000, 'x')", []).unwrap();
    let stretch = |newest| Stretch { order: Order::OldestFirst, behind: None, limit: 100, newest };
    let page =
        |newest| super::page(&connection, &ReplyFilter::default(), &stretch(newest)).unwrap();
    assert_eq!(page(None).rows.len(), 2);
    connection.execute("UPDATE reply SET content = ''", []).unwrap();
    assert_eq!(page(Some(10)).rows.len(), 10);
    all.truncate(1);
    let row = one(&connection, &all[0].id).unwrap().unwrap();
    assert_eq!(row.in_reply_to.as_deref(), Some("msg_1"));
    assert_eq!(row.deliveries, [(DeliveryState::Held, 1), (DeliveryState::Failed, 1)]);
}

#[test]
fn a_reply_is_found_by_the_beginning_of_its_id_or_of_one_as_new() {
    let (connection, all) = full();
    let id = all[10].id.as_str();
    let as_new = id.replace("rpl_", "rpn_");
    for name in [id, &id[..35], &as_new] {
        assert_eq!(ids(&connection, name).unwrap(), [id], "{name}");
    }
    assert_eq!(ids(&connection, "rpl_0000").unwrap().len(), 3);
    assert_eq!(ids(&connection, "rpl_ffff").unwrap(), [""; 0]);
    let detail = detail(&connection, id).unwrap().unwrap();
    let told: Vec<(&str, usize)> =
        detail.told.iter().map(|told| (told.id.as_str(), told.deliveries.len())).collect();
    assert_eq!(told, [(id, 1), (as_new.as_str(), 1)]);
    assert_eq!(detail.read.unwrap().id, ReadId(7));
    assert!(super::detail(&connection, "rpl_none").unwrap().is_none());
}
