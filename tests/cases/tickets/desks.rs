//! Debian's Request Tracker and Redmine, each with SQLite in a folder of the test: `make test-recipes`
//! installs them and runs this.

use super::{SUBJECT, by_a_machine, by_a_person, crashes_and_goes_on, desk_with_once, recipe};
use crate::servers::free_port;
use crate::servers::process::{Process, read};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A ticket system in a folder of its own. It ends with the test.
struct System {
    folder: PathBuf,
    port: u16,
    environment: Vec<String>,
    server: Option<Process>,
    _home: tempfile::TempDir,
}

impl System {
    fn new() -> System {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("system");
        fs::create_dir(&folder).unwrap();
        System {
            folder,
            port: free_port(),
            environment: Vec::new(),
            server: None,
            _home: home,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs one of the system's own programs to its end.
    #[track_caller]
    fn runs(&self, folder: &str, words: &[&str]) {
        let mut command = Command::new("env");
        command.args(&self.environment).args(words);
        let output = command.current_dir(folder).output().unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn start(&mut self, folder: &str, words: &[&str]) {
        let environment = self.environment.iter().map(String::as_str);
        let in_folder = ["env", "--chdir", folder].into_iter();
        let command: Vec<&str> = in_folder
            .chain(environment)
            .chain(words.iter().copied())
            .collect();
        let server = Process::start(&self.folder, &command);
        server.wait_for(self.port, || read(&self.folder.join("output")));
        self.server = Some(server);
    }

    fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }

    /// The only column of a query of the system's database, as texts.
    fn asks(&self, database: &str, query: &str) -> Vec<String> {
        let db = rusqlite::Connection::open(self.folder.join(database)).unwrap();
        let mut rows = db.prepare(query).unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn request_tracker() -> System {
    let mut rt = System::new();
    let config = format!(
        "Set($rtname, 'contoso.com');\nSet($Organization, 'contoso.com');\n\
         Set($WebDomain, '127.0.0.1');\nSet($WebPort, {});\n\
         Set($DatabaseType, 'SQLite');\nSet($DatabaseName, '{}');\n\
         Set($MailCommand, 'testfile');\nSet($LogToSyslog, undef);\nSet($LogToSTDERR, 'info');\n1;\n",
        rt.port,
        rt.folder.join("rt.sqlite").display(),
    );
    let config = rt.write("RT_SiteConfig.pm", &config);
    let empty = rt.folder.join("more");
    fs::create_dir(&empty).unwrap();
    rt.environment = vec![
        format!("RT_SITE_CONFIG={}", config.display()),
        format!("RT_SITE_CONFIG_DIR={}", empty.display()),
    ];
    let rights = "our @ACL = map { { GroupDomain => 'SystemInternal', GroupType => 'Everyone',\n\
                  Queue => 'General', Right => $_ } } qw(CreateTicket ReplyToTicket);\n1;\n";
    let rights = rt.write("rights.rt", rights);
    let fields = rt.write("queuemail.rt", &recipe("rt"));
    let program = "rt-setup-database-5";
    rt.runs("/", &[program, "--action", "init"]);
    for file in [rights, fields] {
        let file = file.to_str().unwrap();
        rt.runs("/", &[program, "--action", "insert", "--datafile", file]);
    }
    rt
}

#[test]
#[ignore = "make test-recipes"]
fn request_tracker_opens_one_ticket_for_each_message() {
    let mut rt = request_tracker();
    let port = rt.port.to_string();
    let program = "/usr/share/request-tracker5/libexec/rt-server";
    let server = [program, "--host", "127.0.0.1", "--port", &port];
    let desk = desk_with_once(&format!(
        "rt-mailgate --queue General --action correspond --url {}",
        rt.url()
    ));
    desk.receives(&by_a_person("While it is down"));
    desk.fetch(&[]).fails(75).mentions("exited with 75");
    assert_eq!(desk.quarantined(), 0);
    rt.start("/", &server);
    desk.make_due();
    crashes_and_goes_on(&desk);
    let tickets = "SELECT Subject || ' ' || Priority FROM Tickets ORDER BY Subject";
    assert_eq!(
        rt.asks("rt.sqlite", tickets),
        [
            "Out of office 90".to_owned(),
            format!("{SUBJECT} 90"),
            "While it is down 90".to_owned(),
        ]
    );
    let languages = "SELECT Content FROM ObjectCustomFieldValues";
    assert_eq!(rt.asks("rt.sqlite", languages), ["de", "de", "de"]);
    // RT confirms what a person wrote, and nothing else.
    let confirmed = "SELECT t.Subject FROM Transactions x JOIN Tickets t ON t.Id = x.ObjectId
                     WHERE x.Type = 'EmailRecord' ORDER BY t.Subject";
    assert_eq!(
        rt.asks("rt.sqlite", confirmed),
        [SUBJECT, "While it is down"]
    );
    rt.stop();
}

fn redmine() -> System {
    let mut redmine = System::new();
    let folder = redmine.folder.display().to_string();
    for name in ["config", "log", "tmp/cache", "files"] {
        fs::create_dir_all(redmine.folder.join(name)).unwrap();
    }
    redmine.write(
        "config/database.yml",
        &format!("production:\n  adapter: sqlite3\n  database: {folder}/redmine.sqlite\n"),
    );
    redmine.write("config/secret_key.txt", &"0123456789abcdef".repeat(4));
    // Debian's Redmine looks for an instance below its own folder.
    let up = "../".repeat(
        Path::new("/usr/share/redmine/instances")
            .components()
            .count()
            - 1,
    );
    let instance = format!("{up}{}", folder.trim_start_matches('/'));
    redmine.environment = vec![
        "RAILS_ENV=production".into(),
        format!("REDMINE_INSTANCE={instance}"),
        "REDMINE_LANG=en".into(),
        format!("SCHEMA={folder}/schema.rb"),
    ];
    let setup = "Setting.mail_handler_api_enabled = 1\n\
                 Setting.mail_handler_api_key = 'only-for-the-tests'\n\
                 project = Project.create!(name: 'Support', identifier: 'support',\n  \
                   is_public: true, enabled_module_names: ['issue_tracking'])\n\
                 IssueCategory.create!(project: project, name: 'de')\n";
    let setup = redmine.write("setup.rb", setup);
    for words in [
        &["rake", "db:migrate"][..],
        &["rake", "redmine:load_default_data"],
        &["bin/rails", "runner", setup.to_str().unwrap()],
    ] {
        redmine.runs("/usr/share/redmine", words);
    }
    redmine
}

#[test]
#[ignore = "make test-recipes"]
fn redmine_opens_one_issue_for_each_message_of_a_person() {
    let mut redmine = redmine();
    let port = redmine.port.to_string();
    // Debian's list of Redmine's libraries has no server in it.
    let server = [
        "rackup",
        "-r",
        "webrick",
        "-r",
        "rack/handler/webrick",
        "-s",
        "webrick",
        "-E",
        "production",
        "-o",
        "127.0.0.1",
        "-p",
        &port,
        "config.ru",
    ];
    let desk = desk_with_once("{home}/to-redmine {queue}");
    let key = desk.path("redmine.key");
    let script = recipe("redmine")
        .replace("https://redmine.contoso.com", &redmine.url())
        .replace("/etc/queuemail/redmine.key", key.to_str().unwrap());
    desk.script("to-redmine", &script);
    desk.world.write("redmine.key", "a wrong one\n");
    desk.receives(&by_a_person("While it is down"));
    desk.fetch(&[])
        .fails(75)
        .mentions("contacting your Redmine");
    redmine.start("/usr/share/redmine", &server);
    desk.make_due();
    desk.fetch(&[]).fails(75).mentions("denied");
    assert_eq!(desk.quarantined(), 0, "a wrong key puts nothing aside");
    desk.world.write("redmine.key", "only-for-the-tests\n");
    desk.make_due();
    crashes_and_goes_on(&desk);
    let issues = "SELECT i.subject || ', ' || p.name || ', ' || c.name FROM issues i
                  JOIN enumerations p ON p.id = i.priority_id
                  JOIN issue_categories c ON c.id = i.category_id ORDER BY i.subject";
    assert_eq!(
        redmine.asks("redmine.sqlite", issues),
        [
            format!("{SUBJECT}, High, de"),
            "While it is down, High, de".to_owned()
        ]
    );
    // The script is right: what a machine wrote would be refused.
    let automatic = "to-redmine-all";
    let all = script.replace("exit 0 ;;", ";;");
    desk.script(automatic, &all);
    let config = desk
        .world
        .config()
        .replace("/to-redmine ", "/to-redmine-all ");
    desk.world.write_config(config);
    desk.receives(&by_a_machine("Out of office too"));
    desk.fetch(&[]).fails(75).mentions("denied");
    redmine.stop();
}
