//! Compiles the benchmark's BPF programs and hands the path of the object to the crate as `XVS_BENCH_OBJECT`.

#[path = "../../ebpf/compile.rs"]
mod compile;

fn main() {
    compile::build("xvs-bench-ebpf", "XVS_BENCH_OBJECT");
}
