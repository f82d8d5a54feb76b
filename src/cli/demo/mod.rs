//! `replyd demo`: the whole way on this machine, with no configuration and no account.
//!
//! A simulated gateway, the service as `run` builds it, and a receiver that verifies, on a clock
//! that runs fast. It ends by itself, and fails if a reply was lost, doubled or not verified.

mod receiver;
mod show;
mod story;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::app::App;
use crate::cli::exit::{Exit, Failure};
use crate::clock::{Clock, random_bytes};
use crate::config::{
    AccountConfig, Config, Cron, Format, LogConfig, LogFormat, LogLevel, Order, ProductConfig,
    Reconcile, RetainConfig, ServerConfig, StoreConfig, SubscriberConfig, WebhookSecret,
};
use crate::event::EventType;
use crate::gateway::charset::Charset;
use crate::gateway::client::ReadMode;
use crate::gateway::simulator::{Habits, NewAccount, Options, Simulator};
use crate::route::Filter;
use crate::store::Store;
use crate::store::delivery::Figures;
use show::Show;
use story::STORY;

/// How fast the demo's clock runs: a minute there is a second here.
const SPEED: u32 = 60;
/// When the demo gives up waiting for its own success, on the machine's clock.
const PATIENCE: Duration = Duration::from_secs(18);
/// How often it looks whether it is done, on its own clock.
const LOOK: Duration = Duration::from_secs(5);
/// The demo's distance between two reads, in the place of the provider's ten minutes.
const INTERVAL: Duration = Duration::from_secs(40);
/// With `--keep`, a customer writes so often.
const KEEP_WRITING: Duration = Duration::from_mins(5);

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Stay up after the summary, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

const AFTER_HELP: &str = "\
It touches no configuration and no store of yours, and is over within half a minute.

Examples:
  replyd demo
  replyd demo --keep          then look at what comes, until Ctrl-C

Exit codes: 0 every reply was kept once, delivered and verified; 1 one was not.";

/// Shows the whole way.
pub(super) async fn demo(arguments: &Arguments) -> Result<Exit, Failure> {
    // The demo tells by itself what goes wrong in it, and means it to.
    crate::cli::log::start_silent();
    let stage = Stage::build().await?;
    let story = tokio::spawn(tell_story(stage.clock.clone(), stage.simulator.clone()));
    let mut show = Show::new(stage.clock.clone(), &stage.simulator);
    show.opening(SPEED);
    let stop = stage.stop.clone();
    let running = tokio::spawn(stage.app.run(stop.clone(), Arc::default()));
    let in_time = show_until_done(&mut show, stage.webhooks, &stage.simulator, &stage.store).await;
    let figures = stage.store.figures().await?;
    let good = show.summary(&figures, &stage.simulator) && in_time.is_some();
    if let (true, Some(webhooks)) = (arguments.keep, in_time) {
        keep(&mut show, webhooks, &stage.simulator, &stage.clock).await;
    }
    story.abort();
    stop.cancel();
    running.await.context("the service panicked")??;
    stage.simulator.stop().await;
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// Everything that takes part. The folder of the store goes when this does.
struct Stage {
    clock: Clock,
    simulator: Simulator,
    app: App,
    store: Store,
    webhooks: mpsc::UnboundedReceiver<receiver::Webhook>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn build() -> anyhow::Result<Self> {
        let clock = Clock::fast(Clock::system().unix(), SPEED);
        let habits = Habits { min_interval: INTERVAL, ..Habits::default() };
        let options = Options { habits, ..Options::default() };
        let simulator =
            Simulator::start(options, clock.clone()).await.context("cannot start the gateway")?;
        let stop = CancellationToken::new();
        let (sender, webhooks) = mpsc::unbounded_channel();
        let secret = new_secret()?;
        let receiver = receiver::start(clock.clone(), secret.clone(), sender, stop.clone()).await?;
        let folder = tempfile::tempdir().context("cannot make a folder for the store")?;
        let config = Config {
            path: folder.path().join("config.toml"),
            store: StoreConfig {
                path: folder.path().join("replyd.db"),
                id_key: None,
                retain: RetainConfig::default(),
                backup_before_upgrade: true,
            },
            server: ServerConfig { listen: ([127, 0, 0, 1], 0).into(), hosts: Vec::new() },
            log: LogConfig { level: LogLevel::Error, format: LogFormat::Text },
            accounts: vec![account(&simulator)?],
            subscribers: vec![subscriber(&format!("http://{receiver}/hooks/sms"), secret)?],
        };
        let app = App::build(config, clock.clone()).await?;
        let store = app.store().clone();
        Ok(Self { clock, simulator, app, store, webhooks, stop, _folder: folder })
    }
}

fn new_secret() -> anyhow::Result<WebhookSecret> {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode(random_bytes::<32>()?);
    Ok(WebhookSecret::parse(&format!("whsec_{key}"))?)
}

fn account(simulator: &Simulator) -> anyhow::Result<AccountConfig> {
    let login = NewAccount::example();
    Ok(AccountConfig {
        name: "main".to_owned(),
        base_url: Url::parse(&simulator.base_url())?,
        uid: login.uid,
        pwd: login.pwd.to_owned().into(),
        schedule: Cron::parse("0 * * * * *")?,
        min_interval: INTERVAL,
        timeout: Duration::from_mins(5),
        proxy: None,
        number: Some(story::NUMBER.to_owned()),
        charset: Charset::Gbk,
        recover: Duration::from_hours(1),
        read: ReadMode::Plain,
        reconcile: Reconcile::Off,
        balance_low: 0,
    })
}

fn subscriber(url: &str, secret: WebhookSecret) -> anyhow::Result<SubscriberConfig> {
    Ok(SubscriberConfig {
        name: "crm".to_owned(),
        url: Url::parse(url)?,
        secrets: vec![secret],
        format: Format::STANDARD,
        product: ProductConfig::default(),
        accounts: Vec::new(),
        events: vec![EventType::ReplyReceived],
        filter: Filter::default(),
        since: None,
        mask: false,
        retry: vec![Duration::from_secs(30), Duration::from_mins(1)],
        give_up: Duration::from_hours(24),
        disable_after: Duration::from_hours(24),
        timeout: Duration::from_mins(4),
        concurrency: 4,
        rate_limit: None,
        order: Order::Mobile,
        quiet_hours: None,
        fallback: None,
        headers: Vec::new(),
        proxy: None,
        enabled: true,
        hold_suspect: false,
        answers: None,
        allow_private: true,
        allow_http: true,
    })
}

async fn tell_story(clock: Clock, simulator: Simulator) {
    let start = clock.unix();
    for (seconds, scene) in &STORY {
        clock.sleep(story::offset(*seconds).saturating_sub(clock.unix().since(start))).await;
        if let Some(fault) = scene.fault() {
            simulator.fault_next(fault);
        }
        if let Some(reply) = scene.reply(clock.unix()) {
            simulator.arrive(&NewAccount::example().uid, reply);
        }
    }
}

/// Shows what happens until every reply is delivered and no hour is owed that can be read now;
/// none when that took too long.
async fn show_until_done(
    show: &mut Show,
    mut webhooks: mpsc::UnboundedReceiver<receiver::Webhook>,
    simulator: &Simulator,
    store: &Store,
) -> Option<mpsc::UnboundedReceiver<receiver::Webhook>> {
    let told = STORY.iter().filter(|(_, scene)| scene.fault().is_none()).count();
    let watch = async {
        loop {
            show.next(&mut webhooks, LOOK).await;
            let arrived = simulator.ledger().len();
            match store.figures().await {
                Ok(figures) if arrived == told && is_done(&figures, arrived) => break,
                _ => {}
            }
        }
        show.rest(&mut webhooks);
    };
    tokio::time::timeout(PATIENCE, watch).await.ok()?;
    Some(webhooks)
}

fn is_done(figures: &Figures, arrived: usize) -> bool {
    let arrived = arrived as u64;
    figures.replies >= arrived && figures.delivered >= arrived && figures.pending == 0
}

/// Goes on until Ctrl-C, with a reply now and then.
async fn keep(
    show: &mut Show,
    mut webhooks: mpsc::UnboundedReceiver<receiver::Webhook>,
    simulator: &Simulator,
    clock: &Clock,
) {
    show.keeping(&simulator.base_url());
    let writing = async {
        for (_, scene) in STORY.iter().cycle() {
            clock.sleep(KEEP_WRITING).await;
            if let Some(reply) = scene.reply(clock.unix()) {
                simulator.arrive(&NewAccount::example().uid, reply);
            }
        }
    };
    let showing = async {
        loop {
            show.next(&mut webhooks, LOOK).await;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = writing => {}
        () = showing => {}
    }
}
