//! Builds the programs and has their instructions counted.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::table::Row;

/// The compiler that cargo uses here: its version and its target.
pub(crate) fn compiler() -> [String; 2] {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = output(Command::new(rustc).arg("-vV"));
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    [said.lines().next().unwrap_or_default().into(), host.into()]
}

pub(crate) fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The folder of the programs.
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// Builds them as the workspace says of a release, whatever the environment says.
    pub(crate) fn build() -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("instructions");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--release", "--frozen", "--quiet", "-p", env!("CARGO_PKG_NAME")])
            .args(["--bin", "engine", "--bin", "codec", "--bin", "containers", "--target-dir"])
            .arg(&target);
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let changes_code = ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"];
            if changes_code.iter().any(|start| name.starts_with(start)) {
                cargo.env_remove(name);
            }
        }
        output(&mut cargo);
        Self(target.join("release"))
    }

    /// The instructions of one message or operation.
    pub(crate) fn count(&self, row: &Row) -> u64 {
        let [short, long] = row.runs;
        let [of_short, of_long] = row.runs.map(|run| self.collect(&row.command, run));
        let (more, times) = (of_long - of_short, long - short);
        (more + times / 2) / times
    }

    /// The instructions of a whole run of so many messages or operations.
    fn collect(&self, command: &str, times: u64) -> u64 {
        let (program, options) = command.split_once(' ').expect("a program and its options");
        let count = if program == "codec" { "--iters" } else { "--count" };
        let mut valgrind = Command::new("valgrind");
        // Nothing of this process's surroundings, which would lie on the program's stack.
        valgrind.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        valgrind.current_dir(&self.0).args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        let said = output(
            valgrind.arg(format!("./{program}")).args(options.split(' ')).args([count, &times.to_string()]),
        );
        let collected = said.lines().find_map(|line| line.split_once("Collected : "));
        collected.and_then(|(_, number)| number.trim().parse().ok()).unwrap_or_else(|| panic!("{said}"))
    }
}

/// All that a program says, which must succeed.
fn output(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(status.success(), "{command:?}: {status}\n{said}");
    said
}
