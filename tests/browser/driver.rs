//! A real browser: Chromium, driven as WebDriver has it (<https://www.w3.org/TR/webdriver2/>) through
//! Debian's chromedriver. It ends with the test.

use crate::servers::free_port;
use crate::servers::process::{Process, read};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a person looks at, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

/// The screens that each page is for.
pub const SCREENS: [Screen; 4] = [
    Screen::new(360, 740, false),
    Screen::new(360, 740, true),
    Screen::new(1280, 900, false),
    Screen::new(1280, 900, true),
];

impl Screen {
    pub const fn new(width: u32, height: u32, dark: bool) -> Screen {
        Screen {
            width,
            height,
            dark,
        }
    }
}

pub struct Browser {
    agent: ureq::Agent,
    session: String,
    _driver: Process,
    _folder: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Browser {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("driver");
        fs::create_dir(&below).unwrap();
        let port = free_port();
        let home = format!("HOME={}", below.display());
        let temporary = format!("TMPDIR={}", below.display());
        let option = format!("--port={port}");
        let driver = Process::start(&below, &["env", &home, &temporary, "chromedriver", &option]);
        let log = || read(&below.join("output"));
        driver.wait_for(port, log);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut browser = Browser {
            agent,
            session: format!("http://127.0.0.1:{port}/session"),
            _driver: driver,
            _folder: folder,
        };
        let made = browser.ask(
            "",
            &json!({"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                // The stand-in's authority is its own.
                "acceptInsecureCerts": true,
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run",
                ]},
            }}}),
        );
        let id = made["sessionId"].as_str().expect("a session");
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    fn ask(&self, command: &str, body: &Value) -> Value {
        let url = format!("{}{command}", self.session);
        let mut answer = self
            .agent
            .post(&url)
            .content_type("application/json")
            .send(body.to_string())
            .unwrap_or_else(|e| panic!("chromedriver: {command}: {e}"));
        let text = answer
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_string()
            .unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(answer.status().is_success(), "{command} {body}: {text}");
        value["value"].clone()
    }

    /// A command of the Chrome DevTools Protocol.
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.ask("/goog/cdp/execute", &body)
    }

    pub fn look_by(&self, screen: Screen) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": screen.width, "height": screen.height, "deviceScaleFactor": 1,
                   "mobile": screen.width < 600}),
        );
        let scheme = if screen.dark { "dark" } else { "light" };
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
    }

    pub fn go(&self, url: &str) {
        self.ask("/url", &json!({"url": url.trim()}));
    }

    /// Shows a page that was written, as from a file.
    pub fn show(&self, page: &str) -> PathBuf {
        let path = self._folder.path().join("page.html");
        fs::write(&path, page).unwrap();
        self.go(&format!("file://{}", path.display()));
        path
    }

    /// What a script returns. It is the test's, which a page's policy does not hold for.
    pub fn run(&self, script: &str) -> Value {
        self.ask("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The same of one that calls its last argument.
    pub fn run_later(&self, script: &str) -> Value {
        self.ask("/execute/async", &json!({"script": script, "args": []}))
    }

    pub fn text(&self, selector: &str) -> String {
        let found = self.run(&format!(
            "return document.querySelector('{selector}')?.innerText ?? ''"
        ));
        found.as_str().unwrap_or_default().to_owned()
    }

    /// What the browser wrote to its console since the last look.
    pub fn console(&self) -> Vec<String> {
        let lines = self.ask("/se/log", &json!({"type": "browser"}));
        let lines = lines.as_array().cloned().unwrap_or_default();
        lines
            .iter()
            .map(|line| line["message"].to_string())
            .collect()
    }

    /// Each node of the accessibility tree that is not ignored: `role name`.
    pub fn accessible(&self) -> Vec<String> {
        let tree = self.devtools("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        nodes
            .iter()
            .filter(|node| node["ignored"] != json!(true))
            .map(|node| {
                let value = |of: &str| node[of]["value"].as_str().unwrap_or_default().to_owned();
                format!("{} {}", value("role"), value("name"))
            })
            .collect()
    }

    /// A picture of the first so many pixels of the page.
    pub fn picture(&self, width: u32, height: u32, to: &Path) {
        let shot = self.devtools(
            "Page.captureScreenshot",
            json!({"format": "png", "captureBeyondViewport": true,
                   "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}),
        );
        let octets = BASE64_STANDARD
            .decode(shot["data"].as_str().unwrap())
            .unwrap();
        fs::write(to, octets).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session.
        let _ = self.agent.delete(&self.session).call();
    }
}
