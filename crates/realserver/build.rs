//! Compiles the real server's BPF program and hands the path of the object to the crate as `XVS_REALSERVER_OBJECT`.

#[path = "../../ebpf/compile.rs"]
mod compile;

fn main() {
    compile::build("xvs-realserver-ebpf", "XVS_REALSERVER_OBJECT");
}
