//! The signing secrets that a receiver's command is given, and what each is called.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::cli::table::visible;
use crate::config::{Config, SecretSource, Secrets, SourceError, without_line_end};
use crate::delivery::target;
use crate::language::Language;

/// Which variable is read where no secret is named.
const VARIABLE: &str = "REPLYD_SECRET";
/// More than this is no rotation.
const SECRETS_MAX: usize = 16;

/// The arguments that name secrets; the last ones of a command, whose help has a heading for them.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Secrets (repeat for a rotation; without any: REPLYD_SECRET)")]
pub(super) struct Arguments {
    /// A secret; other users of this machine can see it while the command runs
    #[arg(long, value_name = "whsec_…")]
    secret: Vec<SecretString>,
    /// The environment variable that holds a secret
    #[arg(long, value_name = "NAME")]
    secret_env: Vec<String>,
    /// The file that holds a secret
    #[arg(long, value_name = "PATH")]
    secret_file: Vec<PathBuf>,
    /// All secrets of this subscriber in the configuration
    #[arg(long, value_name = "NAME")]
    subscriber: Vec<String>,
}

/// Secrets as they were given, right or wrong, and how each is called.
pub(super) struct Given {
    pub(super) secrets: Vec<SecretString>,
    /// May stand on a terminal.
    pub(super) names: Vec<String>,
}

impl Given {
    fn push(&mut self, name: String, secret: SecretString) {
        self.names.push(visible(&name));
        self.secrets.push(secret);
    }
}

impl Arguments {
    /// Fetches what the arguments name; at least one secret.
    pub(super) fn fetch(&self, config: &Path, language: Language) -> Result<Given, Failure> {
        let mut given = Given { secrets: Vec::new(), names: Vec::new() };
        for secret in &self.secret {
            given.push("--secret".to_owned(), secret.clone());
        }
        if !self.secret.is_empty() {
            output::talk(language.pick(
                "注意：本机其他用户在命令运行期间可以看到 --secret 的值；--secret-file 或 REPLYD_SECRET 则不会。",
                "note: other users of this machine can see --secret while this runs; they cannot see --secret-file or REPLYD_SECRET",
            ));
        }
        for name in &self.secret_env {
            let name_shown =
                language.pick(format!("环境变量 {name}"), format!("the variable {name}"));
            let secret = variable(name)?.ok_or_else(|| {
                Failure::usage(format_args!("the environment variable {name} is not set"))
            })?;
            given.push(name_shown, secret);
        }
        for path in &self.secret_file {
            let shown = path.display();
            let name = language.pick(format!("文件 {shown}"), format!("the file {shown}"));
            given.push(name, file(path)?);
        }
        self.configured(config, language, &mut given)?;
        if given.secrets.is_empty()
            && let Some(secret) = variable(VARIABLE)?
        {
            let name =
                language.pick(format!("环境变量 {VARIABLE}"), format!("the variable {VARIABLE}"));
            given.push(name, secret);
        }
        match given.secrets.len() {
            0 => Err(Failure::usage(
                "no secret: give --secret-file PATH, --secret-env NAME, --subscriber NAME or --secret, or set REPLYD_SECRET",
            )),
            1..=SECRETS_MAX => Ok(given),
            _ => Err(Failure::usage(format_args!("more than {SECRETS_MAX} secrets"))),
        }
    }

    fn configured(
        &self,
        path: &Path,
        language: Language,
        given: &mut Given,
    ) -> Result<(), Failure> {
        if self.subscriber.is_empty() {
            return Ok(());
        }
        let config = Config::load(path, Secrets::Read, target::formats())?;
        for name in &self.subscriber {
            let known = config.subscriber(name);
            let Some(subscriber) = known else {
                let known: Vec<_> =
                    config.subscribers.iter().map(|one| one.name.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let path = path.display();
                let message = format!("replyd: no subscriber {name:?} in {path}; there is {known}");
                return Err(Failure::new(Exit::NotFound, message));
            };
            for (secret, number) in subscriber.secrets.iter().zip(1..) {
                let name = match subscriber.secrets.len() {
                    1 => language.pick(format!("{name} 的密钥"), format!("the secret of {name}")),
                    _ => language.pick(
                        format!("{name} 的第 {number} 个密钥"),
                        format!("secret {number} of {name}"),
                    ),
                };
                let text = format!("whsec_{}", STANDARD.encode(secret.key()));
                given.push(name, SecretString::from(text));
            }
        }
        Ok(())
    }
}

/// A secret from the environment, where it is set.
fn variable(name: &str) -> Result<Option<SecretString>, Failure> {
    match Secrets::Read.env(name) {
        Ok(text) => Ok(text.map(SecretString::from)),
        Err(SourceError::NotSet) => Ok(None),
        Err(error) => {
            Err(Failure::usage(format_args!("the environment variable {name} is {error}")))
        }
    }
}

fn file(path: &Path) -> Result<SecretString, Failure> {
    let text = Secrets::Read.file(path).map_err(|error| {
        let exit =
            if matches!(error, SourceError::Unreadable(_)) { Exit::NotFound } else { Exit::Usage };
        let message =
            format!("replyd: the secret's file {} cannot be used: {error}", path.display());
        Failure::new(exit, message)
    })?;
    Ok(SecretString::from(without_line_end(text.unwrap_or_default())))
}
