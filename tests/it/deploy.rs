//! The files that set the service up elsewhere are true of it: their commands are commands, their
//! configurations pass `check`, what these name is where it is named, and a read has its time.

use std::path::Path;

use clap::CommandFactory as _;
use replyd::cli::Arguments;
use yaml_rust2::Yaml;

use crate::help::words;
use crate::support::{Home, ends};
use crate::watching::{file, yaml};

/// The user of the images.
const USER: i64 = 64_480;
/// Where every set-up has its configuration, and its store.
const CONFIG: &str = "/etc/replyd/config.toml";
const STATE: &str = "/var/lib/replyd";

/// What a service manager must wait before it kills: the longest read, and a little.
fn stop_seconds() -> i64 {
    let example = file("config.toml.example");
    let minutes = example.split("\ntimeout = \"").nth(1).unwrap().split('m').next().unwrap();
    minutes.parse::<i64>().unwrap() * 60 + 30
}

fn parses(words: &[&str]) {
    let parsed = Arguments::command().try_get_matches_from([&["replyd"], words].concat());
    parsed.map_err(|error| format!("{words:?}: {error}")).unwrap();
}

/// The texts of a list.
fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Checks a configuration, and returns the files of secrets that it names.
fn secrets_of(config: &str) -> Vec<String> {
    ends(&Home::with(config), &["check", "--offline"], 0);
    assert!(config.contains(&format!("url = \"sqlite:{STATE}/replyd.db\"")), "{config}");
    let named = config.split("{ file = \"").skip(1);
    named.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// The lines of a unit or a file for images that begin so, without that.
fn set<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(key)).collect()
}

#[test]
fn the_unit_runs_the_service_as_it_is() {
    let unit = file("deploy/replyd.service");
    assert_eq!(set(&unit, "ConditionPathExists="), [CONFIG]);
    assert_eq!(set(&unit, "Environment="), [format!("REPLYD_CONFIG={CONFIG}")]);
    assert_eq!(set(&unit, "WorkingDirectory="), [STATE]);
    assert_eq!(set(&unit, "StateDirectory="), ["replyd"]);
    assert_eq!(set(&unit, "TimeoutStopSec="), [stop_seconds().to_string()]);
    assert_eq!(set(&unit, "RestartPreventExitStatus="), ["78"]);
    for program in set(&unit, "ExecStart=") {
        parses(
            &words(&format!("{program}  ")).iter().map(String::as_str).skip(1).collect::<Vec<_>>(),
        );
    }
    let home = Home::with("");
    let help = ends(&home, &["--help"], 0);
    assert!(help.contains("REPLYD_CONFIG"), "{help}");
    // What does not exist yet is made by the command that the package names.
    let made = file("deploy/debian/postinst");
    let init = made.lines().find(|line| line.contains(" init ")).unwrap();
    let init = init.replace("$config", CONFIG);
    let init = words(init.split_once(" -- ").unwrap().1);
    parses(&init.iter().map(String::as_str).skip(1).collect::<Vec<_>>());
    assert!(init.contains(&format!("{STATE}/replyd.db")), "{init:?}");
    for folder in ["/etc/replyd", STATE] {
        assert!(file("deploy/debian/postrm").contains(folder), "{folder} outlives a purge");
    }
}

#[test]
fn the_package_has_files_that_are_there() {
    let manifest = file("Cargo.toml");
    let (_, assets) = manifest.split_once("\nassets = [\n").unwrap();
    let assets: Vec<_> = assets.lines().take_while(|line| *line != "]").collect();
    assert!(assets.len() > 12, "{}", assets.len());
    for asset in assets {
        let path = asset.split('"').nth(1).unwrap();
        let is_made = path.starts_with("target/");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path.trim_end_matches("/*"));
        let path =
            if path.to_string_lossy().contains('*') { path.parent().unwrap() } else { &path };
        assert!(is_made || path.exists(), "{asset}");
    }
}

#[test]
fn the_scripts_parse() {
    let scripts =
        ["check", "lifecycle", "package", "debian/postinst", "debian/prerm", "debian/postrm"];
    for script in scripts.map(|name| format!("deploy/{name}")) {
        let shell = if script.contains("debian") { "sh" } else { "bash" };
        let path = format!("{}/{script}", env!("CARGO_MANIFEST_DIR"));
        let parsed = std::process::Command::new(shell).args(["-n", &path]).status().unwrap();
        assert!(parsed.success(), "{script}");
    }
}

#[test]
fn the_image_runs_the_service_as_it_is() {
    let image = file("deploy/Containerfile");
    assert_eq!(set(&image, "USER "), [format!("{USER}:{USER}")]);
    assert_eq!(set(&image, "ENV "), [format!("REPLYD_CONFIG={CONFIG}")]);
    assert_eq!(set(&image, "VOLUME "), [STATE]);
    assert_eq!(set(&image, "WORKDIR ").last(), Some(&STATE));
    assert_eq!(set(&image, "ENTRYPOINT "), [r#"["/usr/bin/replyd"]"#]);
    let command = |line: &str| -> Vec<String> { serde_json::from_str(line).unwrap() };
    let [run] = &set(&image, "CMD ")[..] else { panic!("{image}") };
    parses(&command(run).iter().map(String::as_str).collect::<Vec<_>>());
    let check = set(image.split_once("HEALTHCHECK ").unwrap().1, "    CMD ");
    let check = command(check[0]);
    assert_eq!(check[0], "/usr/bin/replyd");
    parses(&check.iter().map(String::as_str).skip(1).collect::<Vec<_>>());
    // What the program is built from goes in.
    for ignored in file(".dockerignore").lines().filter(|line| !line.starts_with('#')) {
        assert!(["/target", "/.git", "/fuzz"].contains(&ignored), "{ignored} may be needed");
    }
}

#[test]
fn the_compose_file_runs_the_service_as_it_is() {
    let compose = &yaml("deploy/compose.yaml")[0];
    let (services, configs) = (&compose["services"], &compose["configs"]);
    let common = &compose["x-replyd"];
    assert_eq!(common["user"].as_str(), Some(format!("{USER}:{USER}").as_str()));
    assert_eq!(common["read_only"].as_bool(), Some(true));
    assert_eq!(common["stop_grace_period"].as_str(), Some(format!("{}s", stop_seconds()).as_str()));
    for (name, service) in services.as_hash().unwrap() {
        parses(&texts(&service["command"]));
        let is_tried = service["profiles"].as_vec().is_some();
        assert_eq!(is_tried, name.as_str() != Some("replyd"), "{name:?}");
        for config in service["configs"].as_vec().into_iter().flatten() {
            assert_eq!(config["target"].as_str(), Some(CONFIG));
            assert!(!configs[config["source"].as_str().unwrap()].is_badvalue());
        }
    }
    let service = &services["replyd"];
    assert_eq!(texts(&service["volumes"]), [format!("state:{STATE}")]);
    assert_eq!(texts(&service["healthcheck"]["test"])[..2], ["CMD", "/usr/bin/replyd"]);
    parses(&texts(&service["healthcheck"]["test"])[2..]);
    let given = texts(&service["secrets"]);
    for secret in secrets_of(configs["replyd"]["content"].as_str().unwrap()) {
        let name = secret.strip_prefix("/run/secrets/").unwrap();
        assert!(given.contains(&name), "{secret} is not given");
        assert!(!compose["secrets"][name]["file"].is_badvalue(), "{secret} is of no file");
    }
    // The try-out meets where gateway and receiver listen when they are not told.
    let tried = configs["try"]["content"].as_str().unwrap();
    assert_eq!(secrets_of(tried), [""; 0]);
    let help = |command: &str| ends(&Home::with(""), &[command, "--help"], 0);
    for (command, key) in [("sim", "base_url = \"http://"), ("listen", "\nurl = \"http://")] {
        let address = tried.split(key).nth(1).unwrap().split(['"', '/']).next().unwrap();
        assert!(help(command).contains(address), "{command} does not listen at {address}");
    }
}

#[test]
fn the_kubernetes_manifest_runs_the_service_as_it_is() {
    let documents = yaml("deploy/kubernetes.yaml");
    let of = |kind: &str| documents.iter().find(|it| it["kind"].as_str() == Some(kind)).unwrap();
    let set = &of("StatefulSet")["spec"];
    assert_eq!(set["replicas"].as_i64(), Some(1));
    let pod = &set["template"]["spec"];
    let stop = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
    assert_eq!(stop, stop_seconds());
    assert_eq!(pod["securityContext"]["runAsUser"].as_i64(), Some(USER));
    assert_eq!(pod["securityContext"]["fsGroup"].as_i64(), Some(USER));
    let container = &pod["containers"][0];
    parses(&texts(&container["args"]));
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let command = texts(&container[probe]["exec"]["command"]);
        assert_eq!(command[..2], ["/usr/bin/replyd", "health"]);
        parses(&command[1..]);
        // What decides of a restart asks nothing but whether it lives.
        assert_eq!(command.contains(&"--live"), probe != "readinessProbe", "{probe}");
    }
    let mounts = container["volumeMounts"].as_vec().unwrap();
    let mounted = |path: &str| mounts.iter().any(|it| it["mountPath"].as_str() == Some(path));
    assert!(mounted(CONFIG) && mounted(STATE) && mounted("/etc/replyd/secrets"));
    let config = of("ConfigMap")["data"]["config.toml"].as_str().unwrap();
    for secret in secrets_of(config) {
        let key = secret.strip_prefix("/etc/replyd/secrets/").unwrap();
        assert!(!of("Secret")["stringData"][key].is_badvalue(), "{secret} is in no Secret");
    }
    // Each says whose it is by the same name.
    let label = &documents[0]["metadata"]["labels"];
    assert!(documents.iter().all(|it| it["metadata"]["labels"] == *label));
    assert_eq!(set["selector"]["matchLabels"], *label);
    assert_eq!(set["template"]["metadata"]["labels"], *label);
}
