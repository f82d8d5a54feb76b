//! `replyd init`: a commented configuration, with a signing secret of its own.
//!
//! On a terminal it asks for what the arguments do not say; elsewhere, and with `--yes`, it takes
//! what is usual. What it writes has passed the checks of `replyd check`.

mod chosen;
mod files;
mod questions;
mod template;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};

use crate::cli::exit::{Exit, Failure};
use crate::cli::spoken::Spoken;
use crate::cli::{output, sim};
use crate::clock::random_bytes;
use crate::config::{SecretSource, Secrets, WebhookSecret, without_line_end};
use crate::language::Language;
use chosen::{Chosen, Password, SUBSCRIBER, VARIABLE};

/// The provider's own gateway.
const BASE_URL: &str = "http://http.c123.com";
/// Where `replyd listen` listens.
const URL: &str = "http://127.0.0.1:8000/";
/// The uid of the provider's examples, in the place of one that nobody said.
const UID: &str = "9999";
/// Bytes of a signing secret.
const SECRET_BYTES: usize = 32;
/// A question is asked so often before the command gives up.
const ASKED_MAX: usize = 10;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// For the gateway that `replyd sim` is: its address, its login, reads every five seconds
    #[arg(long)]
    sim: bool,
    /// Ask nothing, also on a terminal
    #[arg(long)]
    yes: bool,
    /// The gateway's address, without /rx [default: http://http.c123.com]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The account's name at the gateway
    #[arg(long, value_name = "UID")]
    uid: Option<String>,
    /// The environment variable that holds the password [default: REPLYD_PASSWORD]
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
    /// The file that holds the password
    #[arg(long, value_name = "PATH", conflicts_with = "password_env")]
    password_file: Option<PathBuf>,
    /// The password, written into the configuration; other users of this machine can see it while
    /// the command runs
    #[arg(long, value_name = "PASSWORD", conflicts_with_all = ["password_env", "password_file"])]
    password: Option<SecretString>,
    /// The number that the account sends from, where it has just one
    #[arg(long, value_name = "DIGITS")]
    number: Option<String>,
    /// Your receiver's address [default: http://127.0.0.1:8000/, where `replyd listen` listens]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where the service tells whether it lives [default: 127.0.0.1:8480]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The file of the store [default: replyd.db beside the configuration]
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    #[command(flatten)]
    spoken: Spoken,
}

const AFTER_HELP: &str = "\
Writes the file that --config names, and crm.secret beside it, with which webhooks are signed; both
can be read by you alone. On a terminal it asks for what is not said here. Nothing is written over:
a secret that is there is used, and where the configuration is there it ends with 78.

Examples:
  replyd init                                     asks
  replyd init --sim                               for the gateway that `replyd sim` is
  replyd init --yes --uid 9999 --url https://crm.example.com/hooks/sms
  replyd --config other.toml init --uid 9999 --password-file main.password --number 1068112227282
  replyd --config /etc/replyd/config.toml init --store /var/lib/replyd/replyd.db

Exit codes: 0 written, 1 nothing was written, 2 usage, 66 no such folder, 78 it is there already.";

/// Writes a configuration.
pub(super) async fn init(path: &Path, arguments: &Arguments) -> Result<Exit, Failure> {
    if path.symlink_metadata().is_ok() {
        let path = path.display();
        let message = format!(
            "replyd: {path} is there already, and is not written over; `replyd check` looks at it, \
             and --config names another file"
        );
        return Err(Failure::new(Exit::Configuration, message));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() && !folder.is_dir() {
        let message = format!("replyd: there is no folder {}", folder.display());
        return Err(Failure::new(Exit::NotFound, message));
    }
    let mut chosen = usual(arguments, folder)?;
    let asks = !arguments.yes && io::stdin().is_terminal() && io::stderr().is_terminal();
    if asks && !arguments.sim {
        interview(&mut chosen, arguments, path).await?;
    }
    if let Some(problem) = chosen.problem(path) {
        return Err(Failure::usage(problem));
    }
    let written = write(path, folder, &chosen)?;
    ending(path, &chosen, &written, asks || arguments.uid.is_some() || arguments.sim);
    Ok(Exit::Done)
}

/// What the arguments say, and what is usual where they say nothing.
fn usual(arguments: &Arguments, folder: &Path) -> Result<Chosen, Failure> {
    let given = |given: &Option<String>, usual: &str, of_sim: &str| {
        let usual = if arguments.sim { of_sim } else { usual };
        given.clone().unwrap_or_else(|| usual.to_owned())
    };
    let password = match (&arguments.password, &arguments.password_file, &arguments.password_env) {
        (Some(text), _, _) => Password::Inline(text.clone()),
        (_, Some(file), _) => Password::File(beside(file, folder)?),
        (_, _, Some(name)) => Password::Variable(name.clone()),
        _ if arguments.sim => Password::Inline(SecretString::from(sim::PASSWORD)),
        _ => Password::Variable(VARIABLE.to_owned()),
    };
    Ok(Chosen {
        base_url: given(&arguments.base_url, BASE_URL, &format!("http://{}", sim::ADDRESS)),
        uid: given(&arguments.uid, UID, sim::UID),
        password,
        number: arguments.number.clone().unwrap_or_default(),
        min_interval: arguments.sim.then_some(sim::MIN_INTERVAL),
        url: given(&arguments.url, URL, URL),
        listen: arguments.listen,
        store: arguments.store.as_deref().map(|file| beside(file, folder)).transpose()?,
    })
}

/// A path of the command line as the configuration has it, where relative ones are its folder's.
fn beside(path: &Path, folder: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(anyhow::Error::from)?;
    let path = if folder.as_os_str().is_empty() { path } else { &absolute };
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::usage("a path that is not UTF-8"))
}

/// Asks for what the arguments do not say. An answer that is wrong is told so, and asked again.
async fn interview(chosen: &mut Chosen, arguments: &Arguments, path: &Path) -> Result<(), Failure> {
    let language = arguments.spoken.language();
    if arguments.base_url.is_none() {
        let question = language.pick("网关地址", "The gateway's address");
        ask(chosen, path, question, |chosen| &mut chosen.base_url).await?;
    }
    if arguments.uid.is_none() {
        chosen.uid.clear();
        let question = language.pick("账号（uid）", "The account's name there (uid)");
        ask(chosen, path, question, |chosen| &mut chosen.uid).await?;
    }
    let is_given = arguments.password.is_some()
        || arguments.password_file.is_some()
        || arguments.password_env.is_some();
    if !is_given {
        chosen.password = ask_password(language).await?;
    }
    if arguments.number.is_none() {
        let question = language.pick(
            "账号自己的号码（有多个或不知道则留空）",
            "The number that it sends from (none where it has several, or you do not know it)",
        );
        ask(chosen, path, question, |chosen| &mut chosen.number).await?;
    }
    if arguments.url.is_none() {
        let question = language.pick("接收方的 URL", "Your receiver's URL");
        ask(chosen, path, question, |chosen| &mut chosen.url).await?;
    }
    Ok(())
}

async fn ask(
    chosen: &mut Chosen,
    path: &Path,
    question: &str,
    field: impl Fn(&mut Chosen) -> &mut String,
) -> Result<(), Failure> {
    let usual = field(chosen).clone();
    let default = Some(usual.as_str()).filter(|usual| !usual.is_empty());
    for _ in 0..ASKED_MAX {
        *field(chosen) = questions::ask(question, default).await?;
        match chosen.problem(path) {
            None => return Ok(()),
            Some(problem) => output::talk(&format!("  {problem}")),
        }
    }
    Err(Failure::new(Exit::Failed, "nothing was written"))
}

async fn ask_password(language: Language) -> Result<Password, Failure> {
    output::talk(language.pick(
        "密码放在哪里？\n  1  配置文件旁边的文件（仅自己可读）\n  2  环境变量 REPLYD_PASSWORD\n  3  配置文件里",
        "Where is the password to be?\n  1  in a file beside the configuration, which you alone can read\n  2  in the environment variable REPLYD_PASSWORD\n  3  in the configuration",
    ));
    for _ in 0..ASKED_MAX {
        let place = questions::ask("1, 2, 3", Some("1")).await?;
        if place == "2" {
            return Ok(Password::Variable(VARIABLE.to_owned()));
        }
        if place != "1" && place != "3" {
            continue;
        }
        let question = language.pick("密码（输入时不显示）", "The password (not shown)");
        let typed = questions::ask_hidden(question).await?;
        if typed.expose_secret().is_empty() {
            continue;
        }
        return Ok(match place.as_str() {
            "1" => Password::NewFile(typed),
            _ => Password::Inline(typed),
        });
    }
    Err(Failure::new(Exit::Failed, "nothing was written"))
}

/// A file that was written, or that was there and is used: its name and what it is.
struct Written {
    path: PathBuf,
    what: &'static str,
    is_new: bool,
}

/// Writes the secrets first: a configuration never names what is not there. Where one cannot be
/// written, those before it go again.
fn write(path: &Path, folder: &Path, chosen: &Chosen) -> Result<Vec<Written>, Failure> {
    let mut written = Vec::new();
    let done = write_all(path, folder, chosen, &mut written);
    if let Err(failure) = done {
        for file in written.iter().filter(|file| file.is_new) {
            // It was made a moment ago, and nothing names it.
            drop(std::fs::remove_file(&file.path));
        }
        return Err(failure);
    }
    Ok(written)
}

fn write_all(
    path: &Path,
    folder: &Path,
    chosen: &Chosen,
    written: &mut Vec<Written>,
) -> Result<(), Failure> {
    let mut create = |path: PathBuf, what, text: &str| {
        files::create(&path, text).map_err(|error| {
            let message = format!("replyd: cannot write {}: {error}", path.display());
            Failure::new(Exit::Failed, message)
        })?;
        written.push(Written { path, what, is_new: true });
        Ok::<_, Failure>(())
    };
    let secret = folder.join(chosen::secret_file());
    const SECRET: &str = "what webhooks are signed with; your receiver needs it";
    let known = known_secret(&secret)?;
    if !known {
        create(secret.clone(), SECRET, &format!("{}\n", new_secret()?))?;
    }
    if let Password::NewFile(password) = &chosen.password {
        let file = folder.join(chosen::password_file());
        create(file, "the password", &format!("{}\n", password.expose_secret()))?;
    }
    create(path.to_owned(), "the configuration", &chosen.text())?;
    if known {
        written.push(Written { path: secret, what: SECRET, is_new: false });
    }
    Ok(())
}

/// Whether a signing secret is there already, and one that can be used.
fn known_secret(path: &Path) -> Result<bool, Failure> {
    if path.symlink_metadata().is_err() {
        return Ok(false);
    }
    let refused = |error: &dyn std::fmt::Display| {
        let message = format!("replyd: {} is there, and cannot be used: {error}", path.display());
        Failure::new(Exit::Configuration, message)
    };
    let text = Secrets::Read.file(path).map_err(|error| refused(&error))?;
    let text = SecretString::from(without_line_end(text.unwrap_or_default()));
    WebhookSecret::parse(text.expose_secret()).map_err(|error| refused(&error))?;
    Ok(true)
}

fn new_secret() -> Result<String, Failure> {
    let key = random_bytes::<SECRET_BYTES>()
        .map_err(|error| Failure::new(Exit::Failed, format!("replyd: no randomness: {error}")))?;
    Ok(format!("whsec_{}", BASE64.encode(key)))
}

/// Says what was written, and what comes next.
fn ending(path: &Path, chosen: &Chosen, written: &[Written], is_uid_known: bool) {
    for Written { path, what, is_new } in written {
        let verb = if *is_new { "wrote" } else { "kept" };
        output::talk(&format!("{verb} {}: {what}", path.display()));
    }
    if !is_uid_known {
        output::talk(&format!(
            "the uid {UID} is a placeholder: write your account's into {}",
            path.display()
        ));
    }
    let config = match path.to_str() {
        Some("config.toml") => String::new(),
        name => format!(" --config {}", output::shell(name.unwrap_or_default())),
    };
    output::talk("next:");
    if let Password::Variable(name) = &chosen.password
        && std::env::var_os(name).is_none()
    {
        output::talk(&format!("  export {name}=…                the password of the account"));
    }
    let next = [
        (true, "check".to_owned(), "is it right?"),
        (chosen.is_local(), format!("listen --subscriber {SUBSCRIBER}"), "a receiver, elsewhere"),
        (!chosen.is_local(), format!("subscribers test {SUBSCRIBER}"), "does it take webhooks?"),
        (true, "run".to_owned(), "the service"),
    ];
    for (_, command, what) in next.into_iter().filter(|(is_next, _, _)| *is_next) {
        let command = format!("replyd{config} {command}");
        output::talk(&format!("  {command:<34} {what}"));
    }
}
