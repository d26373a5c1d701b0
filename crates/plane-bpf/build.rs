//! Compiles the BPF programs and hands the path of the object to the crate as `XVS_BPF_OBJECT`.

#[path = "../../ebpf/compile.rs"]
mod compile;

fn main() {
    compile::build("xvs-ebpf", "XVS_BPF_OBJECT");
}
