//! The examples for Kubernetes: held against Kubernetes' schemas, their configurations against the
//! program.

use super::{MAILBOX, succeeds};
use crate::world::World;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "make test-release"]
fn the_objects_fit_the_schemas_and_the_configuration_is_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in fs::read_dir(root.join("packaging/kubernetes")).unwrap() {
        let objects = entry.unwrap().path();
        succeeds(
            Command::new(root.join("target/checkers/bin/kubernetes-validate"))
                .arg("--strict")
                .arg(&objects),
        );
        let text = fs::read_to_string(&objects).unwrap();
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
        count += 1;
    }
    assert_eq!(count, 2);
}
