//! What a clock that was wrong leaves behind.

use super::*;

const DAY: Duration = Duration::from_hours(24);

/// A life whose clock was this far ahead while a read owed its hours.
async fn after_a_clock_ahead_by(ahead: Duration) -> Life {
    let mut life = Life::begin().await;
    life.now.unix = life.now.unix.after(ahead);
    life.read(None, answer(Ending::Cut, "")).await;
    life.now.unix = life.now.unix.before(ahead);
    assert_eq!(life.store.count("hour WHERE state = 'owed'").await, 25);
    life.pass(INTERVAL);
    life
}

#[tokio::test]
async fn hours_to_come_take_no_slot_until_they_are_there() {
    let mut life = after_a_clock_ahead_by(DAY * 3).await;
    // As an earlier version mended them.
    life.store.execute("UPDATE hour SET not_before_ms = 0").await;
    let view = life.store.view("main", ReadMode::Plain, life.now.clone()).await.unwrap();
    assert_eq!((view.owed, view.next_owed), (None, None));
    let (mut asked, answers) = (Vec::new(), |_| answer(Ending::Announced, ""));
    for _ in 0..24 * 4 {
        life.store.mend_times(life.now.unix).await.unwrap();
        asked.extend(life.live(Duration::from_hours(1), answers).await);
    }
    let hours = || asked.iter().filter_map(|(when, hour)| hour.map(|hour| (*when, hour)));
    for (when, hour) in hours() {
        assert!(hour.number() <= when.beijing().hour().number() + 1, "{hour} at {when:?}");
    }
    assert_eq!(life.store.count("hour WHERE state = 'owed'").await, 0);
    // Each once when it is near, and once when it is over.
    for (_, hour) in hours() {
        let times = hours().filter(|(_, other)| *other == hour).count();
        assert!(times <= 2, "{hour} was asked for {times} times");
    }
}

#[tokio::test]
async fn hours_of_a_far_future_are_forgotten() {
    let life = after_a_clock_ahead_by(DAY * 3650).await;
    // Not by a clock that is not set yet, by which everything is the future.
    assert_eq!(life.store.mend_times(UnixMs(0)).await.unwrap(), 0);
    assert_eq!(life.store.mend_times(life.now.unix).await.unwrap(), 25);
    assert_eq!(life.store.count("hour").await, 0);
    let life = after_a_clock_ahead_by(DAY * 62).await;
    assert_eq!(life.store.mend_times(life.now.unix).await.unwrap(), 0);
    assert_eq!(life.store.count("hour WHERE state = 'owed'").await, 25);
}

#[tokio::test]
async fn an_hour_that_a_clock_ahead_called_over_is_read_again_when_it_is() {
    let mut life = Life::begin().await;
    let hour: Hour = "2026-11-22_12".parse().unwrap();
    let owed = format!("hour WHERE state = 'owed' AND hour = {}", hour.number());
    let verified = format!("hour WHERE state = 'verified' AND hour = {}", hour.number());
    // It is 10 o'clock, and shown is 16 o'clock.
    life.now.unix = life.now.unix.after(Duration::from_hours(6));
    life.read(Some(hour), answer(Ending::Announced, "")).await;
    assert_eq!(life.store.count(&verified).await, 1);
    assert_eq!(life.store.mend_times(life.now.unix).await.unwrap(), 0);
    life.pass(INTERVAL);
    life.now.unix = life.now.unix.before(Duration::from_hours(6));
    assert_eq!(life.store.mend_times(life.now.unix).await.unwrap(), 1);
    assert_eq!((life.store.count(&owed).await, life.store.count(&verified).await), (1, 0));
    // It is not read before it is settled. The clock that was set back is a pause, and the hours of
    // that come first.
    let asked = life.live(DAY, |_| answer(Ending::Announced, "")).await;
    let of_it: Vec<UnixMs> =
        asked.iter().filter(|(_, read)| *read == Some(hour)).map(|(when, _)| *when).collect();
    assert!(of_it.iter().all(|when| *when >= hour.end().after(Duration::from_mins(15))));
    assert_eq!((of_it.len(), life.store.count(&verified).await), (1, 1));
}
