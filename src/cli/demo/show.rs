//! What the demo prints: a line for each thing that happens, and the summary.

use std::time::Duration;

use tokio::sync::{broadcast, mpsc};

use crate::cli::demo::receiver::{Verdict, Webhook};
use crate::cli::output;
use crate::clock::Clock;
use crate::gateway::charset::Charset;
use crate::gateway::simulator::{
    Asked, Ending, LedgerReply, ReadRequest, Simulator, SimulatorEvent,
};
use crate::reply::Mobile;
use crate::store::delivery::Figures;

/// Prints what happens, and counts what the receiver saw.
pub(super) struct Show {
    clock: Clock,
    events: broadcast::Receiver<SimulatorEvent>,
    verified: u64,
    refused: u64,
    wrong: u64,
}

impl Show {
    pub(super) fn new(clock: Clock, simulator: &Simulator) -> Self {
        Self { clock, events: simulator.events(), verified: 0, refused: 0, wrong: 0 }
    }

    pub(super) fn opening(&self, speed: u32) {
        let lines = [
            "replyd demo: a gateway, the service and a receiver, all on this machine.".to_owned(),
            format!(
                "The clock runs {speed} times as fast; the box is read every minute, in the place of every ten."
            ),
            "  customer  writes an SMS, which waits at the gateway".to_owned(),
            "  read      replyd empties the box; each reply is handed out once".to_owned(),
            "  webhook   replyd tells the receiver, which verifies the signature".to_owned(),
            String::new(),
        ];
        for line in lines {
            output::data(&line);
        }
    }

    /// Prints the next thing that happens, or nothing if nothing does for so long.
    pub(super) async fn next(
        &mut self,
        webhooks: &mut mpsc::UnboundedReceiver<Webhook>,
        wait: Duration,
    ) {
        tokio::select! {
            biased;
            event = self.events.recv() => {
                if let Ok(event) = event {
                    self.gateway(&event);
                }
            }
            Some(webhook) = webhooks.recv() => self.webhook(&webhook),
            () = self.clock.sleep(wait) => {}
        }
    }

    /// Prints what has happened already.
    pub(super) fn rest(&mut self, webhooks: &mut mpsc::UnboundedReceiver<Webhook>) {
        while let Ok(event) = self.events.try_recv() {
            self.gateway(&event);
        }
        while let Ok(webhook) = webhooks.try_recv() {
            self.webhook(&webhook);
        }
    }

    fn line(&self, who: &str, what: &str) {
        let now = self.clock.unix().beijing().to_string();
        let time = now.split(' ').next_back().unwrap_or_default();
        output::data(&format!("{time}  {who:<8}  {what}"));
    }

    fn gateway(&self, event: &SimulatorEvent) {
        match event {
            SimulatorEvent::Arrived { reply, .. } => self.line("customer", &arrived(reply)),
            SimulatorEvent::Read(read) => self.line("read", &read_in_words(read)),
            SimulatorEvent::Sent(_) | SimulatorEvent::Called(_) => {}
        }
    }

    fn webhook(&mut self, webhook: &Webhook) {
        let words = match webhook.verdict {
            Verdict::Accepted => "204, signature verified",
            Verdict::Repeated => "204, signature verified; known, not used twice",
            Verdict::Refused => "503 on purpose: replyd will try again",
            Verdict::Wrong => "401: NOT VERIFIED",
        };
        match webhook.verdict {
            Verdict::Accepted | Verdict::Repeated => self.verified += 1,
            Verdict::Refused => self.refused += 1,
            Verdict::Wrong => self.wrong += 1,
        }
        let id: String = webhook.id.chars().take(12).collect();
        self.line("webhook", &format!("{id}… attempt {} → {words}", webhook.attempt));
    }

    /// Prints the summary; says whether every reply was kept once, delivered and verified.
    pub(super) fn summary(&self, figures: &Figures, simulator: &Simulator) -> bool {
        let arrived = simulator.ledger().len() as u64;
        let early = simulator.early_reads();
        let retried = figures.attempts.saturating_sub(figures.deliveries);
        let good = figures.replies == arrived
            && figures.delivered == arrived
            && self.verified == arrived
            && self.wrong == 0
            && early == 0;
        let lines = [
            String::new(),
            "Summary".to_owned(),
            format!(
                "  read       {:>3} times, {early} of them too early for the gateway",
                figures.reads
            ),
            format!(
                "  kept       {:>3} replies of {arrived} that customers wrote",
                figures.replies
            ),
            format!("  delivered  {:>3} webhooks", figures.delivered),
            format!("  retried    {retried:>3} times, after {} refusals on purpose", self.refused),
            format!("  verified   {:>3} signatures, {} wrong", self.verified, self.wrong),
            String::new(),
            if good {
                "Every reply was kept once, delivered and verified."
            } else {
                "SOMETHING IS WRONG: see above."
            }
            .to_owned(),
        ];
        for line in lines {
            output::data(&line);
        }
        good
    }

    pub(super) fn keeping(&self, base_url: &str) {
        output::data(&format!(
            "\nStill running, with a reply now and then; the gateway is {base_url}. Ctrl-C ends."
        ));
    }
}

fn arrived(reply: &LedgerReply) -> String {
    let from =
        Mobile::parse(&reply.mobile).map_or_else(|| "?".to_owned(), |mobile| mobile.to_string());
    let text = Charset::Gbk.decode(&reply.content).text;
    format!("{from} writes \"{text}\"")
}

fn read_in_words(read: &ReadRequest) -> String {
    let replies = output::count(read.handed_out, "reply", "replies");
    let asked = match read.asked {
        Asked::Plain => "the box".to_owned(),
        Asked::Hour(hour) => format!("the hour {hour} again, by time"),
        Asked::BadHour => "an hour that is none".to_owned(),
    };
    match read.ending {
        Ending::Broken => {
            format!("{asked}: the answer BROKE on the way; what it held will be read again by time")
        }
        _ if read.early => format!("{asked}: TOO EARLY"),
        _ => format!("{asked}: {replies}"),
    }
}
