//! How much memory a run takes at its peak.

use crate::world::{Ran, Run, World};

/// Runs to the end; gives the largest resident set, in KiB, too.
pub fn peak(world: &World, run: Run) -> (Ran, u64) {
    let file = world.path("peak");
    // A shell that says how large its largest child was.
    let script = "import os, resource, subprocess, sys\n\
                  code = subprocess.call(sys.argv[2:])\n\
                  peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n\
                  open(sys.argv[1], 'w').write(str(peak))\n\
                  sys.exit(code)";
    let wrapper = ["python3", "-c", script, file.to_str().unwrap()];
    let ran = run.under(wrapper).ends();
    let peak = std::fs::read_to_string(file).unwrap_or_default();
    let peak = peak.parse().unwrap_or_else(|_| panic!("no peak\n{ran}"));
    (ran, peak)
}
