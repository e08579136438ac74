//! The example for Kubernetes: held against Kubernetes' schemas, its configuration against ours.

use super::{MAILBOX, succeeds};
use crate::world::World;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "make test-release"]
fn the_objects_fit_the_schemas_and_the_configuration_is_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let objects = root.join("packaging/kubernetes/queuemail.yaml");
    succeeds(
        Command::new(root.join("target/checkers/bin/kubernetes-validate"))
            .arg("--strict")
            .arg(&objects),
    );
    let text = fs::read_to_string(objects).unwrap();
    let config: String = text
        .lines()
        .skip_while(|line| *line != "  config.yaml: |")
        .skip(1)
        .map_while(|line| line.strip_prefix("    "))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(config.contains(MAILBOX), "{config}");
    let world = World::with_config(&config);
    world.run(["config", "validate"]).succeeds();
}
