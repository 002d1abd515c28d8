//! The built-in container, and directories without a configuration.

use std::fs;

use tests::{Sandbox, require};

/// A directory in which the built-in container is used, and one of each caller.
fn builtin() -> Vec<Sandbox> {
    Sandbox::for_each_caller().into_iter().map(Sandbox::emptied).collect()
}

#[test]
fn a_shell_of_the_host_runs_in_it() {
    require!(Container);
    for sandbox in builtin() {
        let outcome =
            sandbox.run(["sh", "-c", "id -u; hostname; ls /home; grep CapEff /proc/self/status"]);
        outcome.code(0).stdout_has("0\nnsinit\n").stdout_has("CapEff");
    }
}

#[test]
fn it_has_the_environment_of_its_configuration() {
    require!(Container);
    for sandbox in builtin() {
        let outcome = sandbox.run(["sh", "-c", "pwd; echo $HOME $USER $container; env"]);
        outcome.code(0).stdout_has("/root\n/root root nsinit\n").stdout_lacks("host-secret");
    }
}

#[test]
fn secrets_of_the_host_are_not_in_it() {
    require!(Container);
    let script = "for path in /etc/shadow /etc/ssh /etc/ssl/private /etc/sudoers /home /var/lib/dpkg; \
                  do test -e $path && ls -A $path; done; exit 0";
    for sandbox in builtin() {
        sandbox.run(["sh", "-c", script]).code(0).stdout("");
    }
}

#[test]
fn only_its_temporary_directories_can_be_written() {
    require!(Container);
    for sandbox in builtin() {
        let script = "for d in /root /tmp /var/tmp /run /var/cache /var/lib /var/log; do touch $d/x || exit 1; done; \
                      for d in / /etc /usr /usr/bin /var; do touch $d/x 2>/dev/null && exit 2; done; exit 0";
        sandbox.run(["sh", "-c", script]).code(0);
    }
}

#[test]
fn its_accounts_are_generated() {
    require!(Container);
    for sandbox in builtin() {
        let outcome = sandbox.run(["sh", "-c", "cat /etc/passwd; cat /etc/hostname"]);
        outcome.code(0).stdout_has("root:x:0:0:").stdout_has(":65534:").stdout_has("nsinit\n");
        assert!(outcome.out().lines().count() <= 5, "{}", outcome.out());
    }
}

#[test]
fn it_leaves_no_file_in_the_directory() {
    require!(Container);
    for sandbox in builtin() {
        let run = sandbox.start(["sh", "-c", "echo ready; cat"]).until("ready");
        assert_eq!(fs::read_dir(sandbox.root()).expect("own directory").count(), 0);
        run.finish().code(0);
    }
}

#[test]
fn a_second_command_in_the_directory_joins_it() {
    require!(Container);
    for sandbox in builtin() {
        let run = sandbox.start(["sh", "-c", "echo $$ > /tmp/x; echo ready; cat"]).until("ready");
        let pid: u32 = sandbox.run(["cat", "/tmp/x"]).code(0).out().trim_end().parse().expect("$$");
        sandbox.run(["sh", "-c", &format!("test -d /proc/{pid} && test {pid} -lt $$")]).code(0);
        run.finish().code(0);
    }
}

#[test]
fn an_interrupted_program_ends() {
    require!(Container);
    for sandbox in builtin() {
        let run = sandbox.start(["sh", "-c", "echo ready; exec sleep 100"]).until("ready");
        run.signal(rustix::process::Signal::INT);
        run.finish().code(130);
    }
}

#[test]
fn its_configuration_can_be_written_out() {
    for sandbox in builtin() {
        let before = sandbox.nsinit(["plan", "sh"]).code(0).out();
        let spec = sandbox.nsinit(["spec"]).code(0).out();
        let sandbox = sandbox.config(&spec);
        sandbox.nsinit(["plan", "sh"]).code(0).stdout(&before);
    }
}

#[test]
fn one_line_says_that_it_is_used() {
    require!(Container);
    for sandbox in builtin() {
        let said = sandbox.nsinit(["exec", "true"]).code(0).err();
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_directory_that_looks_like_a_root_filesystem_is_one() {
    require!(Container);
    for sandbox in Sandbox::for_each_caller() {
        sandbox.run(["probe", "cat", "/etc/os-release"]).code(0).stdout("ID=test\n");
    }
}

#[test]
fn a_bind_shows_the_hosts_files_in_it() {
    require!(Container);
    for sandbox in builtin() {
        let sandbox = sandbox.host_file("data/file", "text\n");
        sandbox
            .nsinit(["exec", "--quiet", "--bind", "$HOST/data", "cat", "$HOST/data/file"])
            .code(0)
            .stdout("text\n");
    }
}

#[test]
fn another_user_begins_where_he_may() {
    require!(Root);
    let sandbox = Sandbox::new().emptied();
    let script = "id -u; pwd; echo $HOME; touch ~/mine && ls ~";
    let user = |cwd: &[&str]| {
        let line = [&["exec", "--quiet", "--user", "65534"], cwd, &["sh", "-c", script]].concat();
        sandbox.command_line(&line)
    };
    user(&[]).code(0).stdout("65534\n/tmp\n/tmp\nmine\n");
    user(&["--cwd", "/"]).code(0).stdout_has("65534\n/\n");
    let closed = user(&["--cwd", "/root"]);
    closed.code(125).stderr_has("/root may not be entered by user 65534");
}

#[test]
fn a_bind_takes_the_place_of_what_is_there() {
    require!(Container);
    for sandbox in builtin() {
        let sandbox = sandbox.host_file("mine", "").host_file("own", "own\n");
        for destination in ["/root", "/home", "/etc"] {
            let bind = format!("$HOST:{destination}");
            let list = ["exec", "--quiet", "--cwd", "/", "--bind", &bind, "ls", destination];
            sandbox.nsinit(list).code(0).stdout_has("mine\n");
        }
        let file = ["exec", "--quiet", "--bind", "$HOST/own:/etc/hosts", "cat", "/etc/hosts"];
        sandbox.nsinit(file).code(0).stdout("own\n");
    }
}

#[test]
fn the_same_options_join_and_others_do_not() {
    require!(Container);
    for sandbox in builtin() {
        let sandbox = sandbox.host_file("mine", "");
        let held = sandbox.start(["sh", "-c", "echo ready; cat"]).until("ready");
        let bind = ["exec", "--quiet", "--bind", "$HOST:/data", "true"];
        sandbox.nsinit(bind).code(2).stderr_has("this one runs already, with others");
        sandbox.nsinit(["exec", "--quiet", "--network", "none", "true"]).code(0);
        sandbox.nsinit(["exec", "--quiet", "--network", "host", "true"]).code(2);
        held.finish().code(0);
        // With a bind from the start.
        let start = ["--bind", "$HOST:/data", "sh", "-c", "echo ready; cat"];
        let held = sandbox.start(start).until("ready");
        sandbox.nsinit(bind).code(0);
        sandbox.nsinit(["exec", "--quiet", "--bind", "$HOST:/data:rw", "true"]).code(2);
        held.finish().code(0);
    }
}

#[test]
fn doctor_finds_its_programs_through_links_and_misses_others() {
    require!(Container);
    for sandbox in builtin() {
        sandbox.nsinit(["doctor", "sh"]).stdout_has("ok       program ");
        let missing = sandbox.nsinit(["doctor", "no-such-program"]);
        missing.code(1).stdout_has("PROBLEM  program            no-such-program: ");
    }
}
