use std::time::Duration;

use super::{
    AdminMode, Config, Error, HealthConfig, Requirement, ResumeChannels, SameSite, Source, Transport, keys, read::read,
};

fn from(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let file = Some(("web.toml".to_owned(), text.to_owned()));
    read(&Source { file, variables: owned.collect(), ..Source::default() }).into_result().map_err(problems)
}

fn problems(error: Error) -> Vec<String> {
    match error {
        Error::Config(problems) => problems,
        other => panic!("not a configuration's error: {other}"),
    }
}

const FULL: &str = r#"
use_sockets = true
bind = "0.0.0.0:80"
static_dir = "public"
metrics = "127.0.0.1:9464"
contract_page = true
origins = ["https://app.example"]
hosts = ["app.example", "127.0.0.1:3000"]
trusted_proxies = ["10.0.0.0/8", "127.0.0.1"]
[channels]
"/" = { driver = "MainChannel" }
"/other" = { driver = "MyCustomChannel", private = true }
"/gone" = { enabled = false }
[session]
store = "sqlite://sessions.db"
cookie = "sid"
secret = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"]
user_key = "uid"
ttl = "8d"
recheck = "5s"
secure = true
domain = "example.com"
path = "/live"
same_site = "none"
marker = false
[backplane]
url = "redis://127.0.0.1:6379"
prefix = "mine"
[admin]
user = "ada"
password = "$2b$04$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
mode = "development"
files = "dist"
page = "/manage"
[otlp]
endpoint = "http://127.0.0.1:4318"
service = "shop"
[publish]
secret = ["fedcba9876543210fedcba9876543211"]
path = "/publish"
max_body = "3kB"
[health]
live = "/alive"
ready = "/take"
requires = ["session"]
[drain]
delay = "10s"
over = "11s"
[tls]
cert = "cert.pem"
key = "key.pem"
hsts = "365d"
[presence]
linger = "15s"
batch = "20ms"
max_meta = 1000
[resume]
channels = "all"
window = "5m"
events = 50
bytes = "5kB"
[limits]
max_payload = "1MB"
max_attachments = 3
mailbox = 64
send_queue = 65
send_buffer = "2MB"
mailbox_bytes = "3MB"
header_bytes = "4kB"
events_per_second = 10
connections = 66
connections_per_address = 67
channels_per_connection = 68
connect_timeout = "3s"
body_timeout = "2s"
handler_timeout = "4s"
send_timeout = "6s"
shutdown_timeout = "7s"
[transport]
path = "/live"
serve_client = true
ping_interval = "8s"
ping_timeout = "9s"
transports = ["websocket"]
"#;

#[test]
fn every_key_of_a_full_file_is_read() {
    let config = from(FULL, &[]).unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(config.use_sockets, Some(true));
    assert_eq!(config.bind, "0.0.0.0:80");
    assert_eq!(config.static_dir.as_deref(), Some("public".as_ref()));
    assert_eq!(config.metrics.as_deref(), Some("127.0.0.1:9464"));
    assert!(config.contract_page);
    assert_eq!(config.origins, ["https://app.example"]);
    assert_eq!(config.hosts, ["app.example", "127.0.0.1:3000"]);
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.channels["/other"].private, Some(true));
    assert!(!config.channels["/gone"].enabled);
    assert_eq!(config.channels["/other"].place().to_string(), "web.toml:12");
    assert_eq!(config.session.store, "sqlite://sessions.db");
    assert_eq!((config.session.cookie.as_str(), config.session.user_key.as_str()), ("sid", "uid"));
    assert_eq!(config.session.secret.len(), 2);
    assert_eq!((config.session.ttl, config.session.recheck), (seconds(8 * 86_400), seconds(5)));
    assert_eq!(config.session.secure, Some(true));
    assert_eq!((config.session.domain.as_deref(), config.session.path.as_str()), (Some("example.com"), "/live"));
    assert_eq!(config.session.same_site, SameSite::None);
    assert!(!config.session.marker);
    assert_eq!(config.backplane.url.as_deref(), Some("redis://127.0.0.1:6379"));
    assert_eq!(config.backplane.prefix, "mine");
    let admin = &config.admin;
    assert_eq!((admin.user.as_deref(), admin.page.as_str()), (Some("ada"), "/manage"));
    assert_eq!((admin.mode, admin.files.as_deref()), (AdminMode::Development, Some(std::path::Path::new("dist"))));
    assert!(admin.password.as_ref().is_some_and(|hash| hash.len() == 60));
    assert!(!format!("{admin:?}").contains("$2b$"), "{admin:?}");
    assert_eq!(config.otlp.endpoint.as_deref(), Some("http://127.0.0.1:4318"));
    assert_eq!(config.otlp.service.as_deref(), Some("shop"));
    assert_eq!(config.publish.secret, ["fedcba9876543210fedcba9876543211"]);
    assert_eq!((config.publish.path.as_str(), config.publish.max_body), ("/publish", 3000));
    let health = config.health.as_ref().unwrap();
    assert_eq!((health.live.as_str(), health.ready.as_str()), ("/alive", "/take"));
    assert_eq!(health.requires, [Requirement::Session]);
    assert_eq!((config.drain.delay, config.drain.over), (seconds(10), seconds(11)));
    let tls = config.tls.as_ref().unwrap();
    assert_eq!((tls.cert.to_str(), tls.key.to_str()), (Some("cert.pem"), Some("key.pem")));
    assert_eq!(tls.hsts, Some(seconds(365 * 86_400)));
    assert_eq!((config.presence.linger, config.presence.batch), (seconds(15), Duration::from_millis(20)));
    assert_eq!(config.presence.max_meta, 1000);
    assert_eq!((config.resume.channels, config.resume.window), (ResumeChannels::All, seconds(300)));
    assert_eq!((config.resume.events, config.resume.bytes), (50, 5000));
    let limits = &config.limits;
    assert_eq!((limits.max_payload, limits.max_attachments, limits.events_per_second), (1_000_000, 3, 10));
    assert_eq!((limits.mailbox, limits.send_queue), (64, 65));
    assert_eq!((limits.connections, limits.connections_per_address), (66, 67));
    assert_eq!(limits.channels_per_connection, 68);
    assert_eq!((limits.connect_timeout, limits.handler_timeout), (seconds(3), seconds(4)));
    assert_eq!((limits.send_timeout, limits.shutdown_timeout), (seconds(6), seconds(7)));
    assert_eq!((config.transport.path.as_str(), config.transport.serve_client), ("/live", true));
    assert_eq!((config.transport.ping_interval, config.transport.ping_timeout), (seconds(8), seconds(9)));
    assert_eq!(config.transport.transports, [Transport::Websocket]);
}

#[test]
fn every_key_has_a_variable_that_says_the_same() {
    let mut values = Vec::new();
    let mut section = String::new();
    for line in FULL.lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix('['), line.split_once(" = ")) {
            (Some(name), _) => section = name.trim_end_matches(']').to_owned() + ".",
            (None, Some((key, value))) if section != "channels." => {
                values.push((keys::variable_of(&format!("{section}{key}")), value.trim_matches('"').to_owned()));
            }
            _ => {}
        }
    }
    assert_eq!(values.len(), keys::KEYS.len(), "{values:?}");
    let channels = r#"{ "/" = { driver = "MainChannel" }, "/other" = { driver = "MyCustomChannel", private = true }, "/gone" = { enabled = false } }"#;
    values.push(("CAROLINA_CHANNELS".to_owned(), channels.to_owned()));
    let borrowed: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(from("", &borrowed).unwrap(), from(FULL, &[]).unwrap());
}

#[test]
fn r25_health_is_switched_off_by_its_name() {
    assert_eq!(from("", &[]).unwrap().health, Some(HealthConfig::default()));
    assert_eq!(from("health = true", &[]).unwrap().health, Some(HealthConfig::default()));
    assert_eq!(from("health = false", &[]).unwrap().health, None);
    assert_eq!(from("[health]\nlive = \"/up\"", &[("CAROLINA_HEALTH", "false")]).unwrap().health, None);
    let config = from("health = { ready = \"/go\" }", &[]).unwrap();
    assert_eq!(config.health, Some(HealthConfig { ready: "/go".to_owned(), ..HealthConfig::default() }));
    assert_eq!(from("[drain]\ndelay = \"0s\"", &[]).unwrap(), Config::default());
}

#[test]
fn variables_win_over_the_file() {
    let variables = [
        ("CAROLINA_BIND", "127.0.0.1:81"),
        ("CAROLINA_LIMITS__MAILBOX", "7"),
        ("CAROLINA_ORIGINS", "https://a.example, https://b.example"),
        ("CAROLINA_LIMITS__MAX_PAYLOAD", "2kB"),
        ("CAROLINA_CHANNELS", r#"{ "/x" = { driver = "X" } }"#),
        ("CAROLINA_USE_SOCKETS", "false"),
    ];
    let file = "bind = \"127.0.0.1:80\"\n[limits]\nmailbox = 5\n[channels]\n\"/x\" = { private = true }\n\"/y\" = {}";
    let config = from(file, &variables).unwrap();
    assert_eq!(config.bind, "127.0.0.1:81");
    assert_eq!(config.limits.mailbox, 7);
    assert_eq!(config.origins.len(), 2);
    assert_eq!(config.limits.max_payload, 2000);
    assert_eq!(config.channels["/x"].driver.as_deref(), Some("X"));
    assert_eq!(config.channels["/x"].private, None, "an entry is replaced as a whole");
    assert_eq!(config.channels["/x"].place().to_string(), "CAROLINA_CHANNELS");
    assert!(config.channels.contains_key("/y"));
    assert_eq!(config.use_sockets, Some(false));
}

#[test]
fn mistakes_name_place_key_and_what_would_be_right() {
    for (text, expected) in [
        ("[limits]\nmailbx = 5", "web.toml:2: limits.mailbx: unknown key; did you mean `mailbox`?"),
        ("bnd = \"x\"", "web.toml:1: bnd: unknown key; did you mean `bind`?"),
        ("[limmits]\nmailbox = 5", "web.toml:1: limmits: unknown key; did you mean `limits`?"),
        ("mailbox = 5", "web.toml:1: mailbox: unknown key; `mailbox` belongs in [limits]"),
        ("[limits]\nping_timeout = \"5s\"", "limits.ping_timeout: unknown key; `ping_timeout` belongs in [transport]"),
        ("[session]\nbind = \"x\"", "session.bind: unknown key; `bind` belongs at the top of the file"),
        ("[limits]\nmailbox = 0", "web.toml:2: limits.mailbox: 0 would let nothing through"),
        ("[limits]\nmax_payload = 0", "limits.max_payload: 0 would let nothing through"),
        ("[limits]\nmailbox = -1", "`-1` is not a whole number"),
        ("[limits]\nmailbox = \"many\"", "`many` is not a whole number"),
        ("[limits]\nsend_queue = 18446744073709551615", "is more than 100000000"),
        ("[limits]\nevents_per_second = 5000000000", "too large"),
        ("[limits]\nsend_timeout = 5", "`5` is not a duration such as"),
        ("[limits]\nsend_timeout = \"0s\"", "0 is no time to do anything"),
        ("[session]\nttl = \"1000000 years\"", "longer than a hundred years"),
        ("[limits]\nmax_payload = \"big\"", "`big` is not a size such as"),
        ("bind = \"here\"", "web.toml:1: bind: `here` is not an address and port"),
        ("bind = \"127.0.0.1\"", "write \"127.0.0.1:3000\""),
        ("bind = \"::1\"", "write \"[::1]:3000\""),
        ("bind = \":80\"", "write \"0.0.0.0:80\""),
        ("bind = \"host:99999\"", "a number up to 65535"),
        ("bind = \"http://host:80\"", "leave out the scheme"),
        ("static_dir = \"\"", "static_dir: names no folder"),
        ("origins = [\"*\"]", "every site"),
        ("origins = [\"https://a.example/path\"]", "without a path: write \"https://a.example\""),
        ("origins = [\"https://a.example/\"]", "without a path: write \"https://a.example\""),
        ("origins = [\"a.example\"]", "begins with a scheme"),
        ("origins = [\"https://*.a.example\"]", "the one host it means"),
        ("origins = [\"https://a.example:99999\"]", "a number up to 65535"),
        ("origins = \"https://a.example\"", "is not a list such as"),
        ("origins = [5]", "`5` is not a string in quotes"),
        ("[session]\nsecret = \"short\"", "web.toml:2: session.secret: secret number 1 has 5 bytes"),
        ("[session]\nsecret = \"short\"", "at least 32; make one with `openssl rand -base64 48`"),
        ("[session]\nsecret = 5", "is not a string in quotes or a list of them"),
        ("[session]\nstore = \"mysql://x\"", "web.toml:2: session.store: `mysql://x`"),
        ("[session]\nstore = \"Memory\"", "`Memory` is not \"memory\""),
        ("[session]\ncookie = \"a b\"", "`a b` is not a cookie's name"),
        ("[session]\nuser_key = \"\"", "names no key"),
        ("[admin]\nuser = \"ada\"", "web.toml:2: admin.user: nobody can log in without `password`"),
        (
            "[admin]\nuser = \"ada\"\npassword = \"wonderland\"",
            "web.toml:3: admin.password: is not a hash by bcrypt or argon2",
        ),
        (
            "admin = { user = \"ada\", mode = \"develop\" }",
            "admin.mode: `develop` is not \"production\" or \"development\"",
        ),
        ("[admin]\npage = \"/\"", "admin.page: the page would be in the place of everything"),
        ("[publish]\nsecret = \"short\"", "web.toml:2: publish.secret: secret number 1 has 5 bytes"),
        ("[publish]\nmax_body = 0", "publish.max_body: 0 would let nothing through"),
        ("[publish]\npath = \"emit\"", "publish.path: a path begins with `/`"),
        (
            "[publish]\npath = \"/socket.io/emit\"\nsecret = \"0123456789abcdef0123456789abcdef\"",
            "publish.path: `/socket.io/emit` is taken by Socket.IO (transport.path)",
        ),
        (
            "[session]\nsecret = \"0123456789abcdef0123456789abcdef\"\n[publish]\nsecret = \"0123456789abcdef0123456789abcdef\"",
            "publish.secret: is also session.secret",
        ),
        ("[backplane]\nurl = \"amqp://u:secret@x\"", "`amqp://u:***@x` is not"),
        ("[backplane]\nprefix = \"a b\"", "letters, digits"),
        ("[transport]\npath = \"live\"", "transport.path: a path begins with `/`: write \"/live\""),
        ("[transport]\ntransports = [\"pooling\"]", "did you mean `polling`?"),
        ("[transport]\ntransports = []", "nobody can connect"),
        ("[channels]\nother = { driver = \"X\" }", "web.toml:2: channels.\"other\": a path begins with `/`"),
        ("[channels]\n\"/a,b\" = { driver = \"X\" }", "has no `,` in it"),
        (
            "[channels]\n\"/x\" = { drivr = \"X\" }",
            "web.toml:2: channels.\"/x\".drivr: unknown key; did you mean `driver`?",
        ),
        ("[channels]\n\"/x\" = { enabled = \"no\" }", "channels.\"/x\".enabled: `no` is not `true` or `false`"),
        ("[channels]\n\"/x\" = \"X\"", "is not a table such as { driver = \"X\" }"),
        ("channels = 5", "channels: is a section: write [channels]"),
        ("health = \"off\"", "web.toml:1: health: `off` is not `true` or `false`"),
        ("health = { live = \"up\" }", "web.toml:1: health.live: a path begins with `/`: write \"/up\""),
        (
            "[otlp]\nendpoint = \"grpc://collector\"",
            "otlp.endpoint: is not a URL that begins with `http://` or `https://`",
        ),
        ("[health]\nready = \"/live\"", "health.ready: `/live` is also health.live"),
        ("[health]\nready = \"/socket.io/ready\"", "health.ready: `/socket.io/ready` is below `/socket.io`"),
        (
            "[health]\nrequires = [\"sesion\"]",
            "health.requires: `sesion` is not \"backplane\" or \"session\"; did you mean `session`?",
        ),
        ("[drain]\nover = \"1000000 years\"", "web.toml:2: drain.over: is longer than a hundred years"),
        ("[tls]\ncert = \"a.pem\"", "tls.key: is missing: a certificate and its key are two files"),
        ("tls = { key = \"a.pem\" }", "tls.cert: is missing"),
        ("tls = true", "tls: is a section: write [tls]"),
        ("limits = 5", "limits: is a section: write [limits]"),
        ("transport = 5", "transport: is a section: write [transport]"),
        ("use_sockets = \"yes\"", "`yes` is not `true` or `false`"),
        ("a = = b", "web.toml:1: "),
        ("bind = \"127.0.0.1:1\"\nbind = \"127.0.0.1:2\"", "web.toml:2: bind: is there twice"),
        ("trusted_proxies = [\"proxy\"]", "not an address or network"),
    ] {
        let problems = from(text, &[]).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{text}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.starts_with("web.toml:")), "{text}: {problems:?}");
    }
}

#[test]
fn a_cookie_that_browsers_would_drop_is_refused() {
    for (session, expected) in [
        (
            "cookie = \"__Host-sid\"",
            "session.cookie: browsers drop a cookie named `__Host-sid` as it is set here: write `secure = true` in [session]",
        ),
        ("cookie = \"__host-sid\"\nsecure = false", "write `secure = true`"),
        ("cookie = \"__Secure-sid\"", "write `secure = true`"),
        ("cookie = \"__Host-sid\"\nsecure = true\ndomain = \"example.com\"", "leave out `domain`"),
        ("cookie = \"__Host-sid\"\nsecure = true\npath = \"/socket.io\"", "leave out `path`"),
        (
            "same_site = \"none\"",
            "session.same_site: browsers take a cookie with `SameSite=None` by TLS alone: write `secure = true`",
        ),
        ("same_site = \"none\"\nsecure = false", "write `secure = true`"),
        ("same_site = \"Lax\"", "session.same_site: `Lax` is not \"lax\", \"strict\" or \"none\"; did you mean `lax`?"),
        ("domain = \"https://example.com\"", "session.domain: `https://example.com` is not a domain"),
        ("domain = \"127.0.0.1\"", "is not a domain"),
        ("domain = \"a;b\"", "is not a domain"),
        ("domain = \"\"", "is not a domain"),
        ("path = \"app\"", "session.path: `app` is not a path"),
        ("path = \"/a;b\"", "is not a path"),
    ] {
        let problems = from(&format!("[session]\n{session}"), &[]).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(expected), "{session}: {problems:?}");
    }
    for session in [
        "cookie = \"__Host-sid\"\nsecure = true",
        "cookie = \"__Secure-sid\"\nsecure = true\ndomain = \"example.com\"\npath = \"/socket.io\"",
        "same_site = \"none\"\nsecure = true",
        "same_site = \"strict\"\ndomain = \".example.com\"\npath = \"/socket.io/\"",
    ] {
        let config = from(&format!("[session]\n{session}"), &[]);
        assert!(config.is_ok(), "{session}: {config:?}");
    }
}

#[test]
fn mistakes_in_variables_name_the_variable() {
    for (name, value, expected) in [
        ("CAROLINA_LIMITS__MAILBX", "5", "limits.mailbx: unknown key; did you mean `mailbox`?"),
        ("CAROLINA_LIMITS_MAILBOX", "5", "did you mean `CAROLINA_LIMITS__MAILBOX`?"),
        ("CAROLINA_LIMTS__MAILBOX", "5", "did you mean `CAROLINA_LIMITS__MAILBOX`?"),
        ("CAROLINA_BNID", "a:1", "did you mean `CAROLINA_BIND`?"),
        ("CAROLINA_bind", "a:1", "did you mean `CAROLINA_BIND`?"),
        ("CAROLINA_LIMITS", "5", "is a section: set its keys one by one, as `CAROLINA_LIMITS__"),
        ("CAROLINA_LIMITS__MAILBOX", "many", "limits.mailbox: `many` is not a whole number"),
        ("CAROLINA_LIMITS__MAILBOX", "0", "limits.mailbox: 0 would let nothing through"),
        ("CAROLINA_SESSION__SECRET", "", "secret number 1 has 0 bytes"),
        ("CAROLINA_BACKPLANE__URL", "", "backplane.url: `` is not redis://"),
        ("CAROLINA_CHANNELS", "X", "is not a table such as"),
        ("CAROLINA_CHANNELS", "{ \"/x\" = {}", "unclosed inline table"),
        ("CAROLINA_CHANNELS", "{ x = {} }", "channels.\"x\": a path begins with `/`"),
        ("CAROLINA_CHANNELS__X", "X", "is given as a whole: CAROLINA_CHANNELS='{"),
        ("CAROLINA_COLOUR", "red", "colour: unknown key; variables that begin with `CAROLINA_` are settings"),
        (
            "CAROLINA_FOO",
            "1",
            "foo: unknown key; variables that begin with `CAROLINA_` are settings; give one of your own",
        ),
        ("CAROLINA_BNID", "1", "bnid: unknown key; did you mean `CAROLINA_BIND`?"),
    ] {
        let problems = from("", &[(name, value)]).unwrap_err();
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        assert!(problems[0].starts_with(&format!("{name}: ")) && problems[0].contains(expected), "{problems:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_in_the_files_order() {
    let text =
        "[session]\nsecret = \"short\"\n[limits]\nmailbox = 0\n[channels]\nx = { drver = \"X\" }\n[backplane]\nurl = 5";
    let problems = from(text, &[("CAROLINA_X", "1"), ("CAROLINA_LIMITS__SEND_BUFFER", "0")]).unwrap_err();
    let begins: Vec<&str> = problems.iter().map(|problem| problem.split_once(": ").unwrap().0).collect();
    assert_eq!(
        begins,
        [
            "web.toml:2",
            "web.toml:4",
            "web.toml:6",
            "web.toml:6",
            "web.toml:8",
            "CAROLINA_LIMITS__SEND_BUFFER",
            "CAROLINA_X"
        ],
        "{problems:#?}"
    );
}

#[test]
fn what_stands_behind_a_broken_line_is_not_guessed_at() {
    let problems = from("bnd = 1\n[limits\nmailbox = 5\n", &[("CAROLINA_X", "1")]).unwrap_err();
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems[0].starts_with("web.toml:1: bnd: unknown key"), "{problems:#?}");
    assert!(problems[1].starts_with("web.toml:2: unclosed table"), "{problems:#?}");
    let problems = from("bind = here\n[limits]\nmailbox = \"x\"\n", &[]).unwrap_err();
    assert_eq!(problems, ["web.toml:1: string values must be quoted, expected literal string"]);
}

#[test]
fn what_could_not_be_read_is_told_with_the_rest() {
    let source = Source {
        problems: vec!["CAROLINA_CONFIG: cannot read `x`".to_owned()],
        variables: vec![("CAROLINA_BIND".to_owned(), "x".to_owned())],
        ..Source::default()
    };
    assert_eq!(read(&source).problems.len(), 2);
}

#[test]
fn passwords_and_secrets_are_in_no_message() {
    let problems = from(
        "[session]\nsecret = \"s3cret\"\nstore = \"mysql://u:s3cret@h\"\n[backplane]\nurl = \"redis:u:s3cret@h\"",
        &[("CAROLINA_SESSION__SECRET", "[\"s3cret\", 53cr37]")],
    );
    let told = problems.unwrap_err().join("\n");
    assert!(!told.contains("s3cret") && !told.contains("53cr37"), "{told}");
}

#[test]
fn a_configuration_made_in_code_is_checked_as_well() {
    let mut config = Config::default()
        .use_sockets(true)
        .bind("localhost:0")
        .origin("https://app.example")
        .secret("0123456789abcdef0123456789abcdef")
        .store("redis://host")
        .backplane_url("postgres://host/db")
        .channel("/other", "MyCustomChannel");
    assert_eq!(config.problems(), [""; 0]);
    assert_eq!(config.use_sockets, Some(true));
    config.limits.mailbox = 0;
    config.transport.transports.clear();
    let told = config.channel("x", "X").origin("*").problems();
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told.iter().all(|problem| problem.starts_with("the configuration: ")), "{told:#?}");
}

#[test]
fn text_parses_into_a_configuration() {
    let config: Config = "bind = \"127.0.0.1:0\"".parse().unwrap();
    assert_eq!(config.bind, "127.0.0.1:0");
    let error = "bnd = 1".parse::<Config>().unwrap_err().to_string();
    assert_eq!(error, "configuration:1: bnd: unknown key; did you mean `bind`?");
    assert_eq!(Config::from_toml("", "empty.toml").unwrap(), Config::default());
    assert!(Config::default().problems().is_empty());
}

#[test]
fn origins_of_every_kind_pass() {
    for origin in
        ["https://app.example", "http://127.0.0.1:3000", "http://[::1]:80", "capacitor://localhost", "http://localhost"]
    {
        assert!(Config::default().origin(origin).problems().is_empty(), "{origin}");
    }
}

#[test]
fn hosts_are_names_with_or_without_a_port() {
    for host in ["app.example", "app.example:8443", "127.0.0.1:3000", "[::1]", "[::1]:80", "localhost"] {
        from(&format!("hosts = [\"{host}\"]"), &[]).unwrap();
    }
    for (host, expected) in [
        ("https://app.example/", ", without a scheme: write \"app.example\""),
        ("::1", ": write \"[::1]\""),
        ("*.example", "with the one host it means"),
        ("app.example:99999", "a port is a number"),
        ("app.example/x", "is not a host"),
        ("", "is not a host"),
    ] {
        let told = from(&format!("hosts = [\"{host}\"]"), &[]).unwrap_err();
        assert!(told[0].contains("hosts: ") && told[0].contains(expected), "{host}: {told:?}");
    }
}

/// The documentation of the module and of its types.
const DOCUMENTATION: &str = concat!(include_str!("mod.rs"), include_str!("operations.rs"));

#[test]
fn every_key_is_in_the_table_and_at_its_field() {
    let key_and_variable = |key: &str, between: &str| format!("`{key}`{between}`{}`", keys::variable_of(key));
    for (key, _) in &keys::KEYS {
        assert!(DOCUMENTATION.contains(&format!("| {} |", key_and_variable(key, " | "))), "{key} in the table");
        assert!(
            DOCUMENTATION.contains(&format!("Key {}.", key_and_variable(key, ", variable "))),
            "{key} at its field"
        );
    }
}

#[test]
fn the_table_has_the_defaults() {
    let mut compared = 0;
    for row in DOCUMENTATION.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [key, _, _, default] = cells[..] else { continue };
        let key = key.trim_end_matches('`');
        // A default that is words, not a value, stands for a key that is not set.
        let Some(value) = default.trim_end_matches(" |").strip_prefix('`').and_then(|value| value.strip_suffix('`'))
        else {
            continue;
        };
        let config = Config::from_toml(&format!("{key} = {value}"), "table").map_err(problems);
        assert_eq!(config.as_ref(), Ok(&Config::default()), "{key}");
        compared += 1;
    }
    assert!(compared > keys::KEYS.len() / 2, "{compared} rows have a value");
}

#[test]
fn deployments_set_variables_that_there_are() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let mut known = 0;
    for file in ["Dockerfile", "kubernetes.yaml", "application.service"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let is_part = |character: char| character.is_ascii_uppercase() || character == '_';
        for name in text.split(|character| !is_part(character)).filter(|word| word.starts_with("CAROLINA_")) {
            let is_key = keys::KEYS.iter().any(|(key, _)| keys::variable_of(key) == name);
            assert!(is_key || name == "CAROLINA_CONFIG", "{file}: {name}");
            known += 1;
        }
    }
    assert!(known > 8, "{known}");
}
