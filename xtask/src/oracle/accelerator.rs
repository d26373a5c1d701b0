//! KVM where a machine really boots by it, or else emulation.

use std::fs::{self, OpenOptions};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::oracle::image::{self, Image};
use crate::oracle::machine::{self, Init, Job, Output};

/// How long a boot by KVM may take, which takes a second or two.
const PATIENCE: Duration = Duration::from_secs(20);

/// What runs the machine's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU, in software.
    Emulation,
    /// QEMU, in software, with a clock that counts instructions and jumps to the next timer where nobody has
    /// anything to do: sleeping takes no time.
    Sleepless,
}

impl Accelerator {
    /// Its part of QEMU's command line.
    pub const fn arguments(self) -> &'static str {
        match self {
            Self::Kvm => "-accel kvm -cpu host -smp 2",
            Self::Emulation => "-accel tcg,thread=multi,tb-size=512 -cpu max -smp 2",
            // With more than one processor the jumping clock does not get through the boot.
            Self::Sleepless => {
                "-accel tcg,thread=single,tb-size=512 -icount shift=0,sleep=off -cpu max -smp 1"
            }
        }
    }
}

/// Chooses. Some machines, virtual ones themselves, offer a KVM that boots nothing: it is tried once for each kernel
/// of the host's.
pub fn choose(image: &Image) -> Result<Accelerator> {
    if OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Ok(Accelerator::Emulation);
    }
    let host = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let host = host.trim();
    let (works, fails) = (format!("kvm on {host}\n"), format!("emulation on {host}\n"));
    let memory = image::folder().join("accelerator");
    match fs::read_to_string(&memory) {
        Ok(known) if known == works => return Ok(Accelerator::Kvm),
        Ok(known) if known == fails => return Ok(Accelerator::Emulation),
        _ => {}
    }
    let is_booting = boots(image);
    fs::write(&memory, if is_booting { works } else { fails })
        .context("cannot note what KVM does")?;
    if is_booting {
        return Ok(Accelerator::Kvm);
    }
    eprintln!("x: oracle: KVM is there but boots nothing, so QEMU emulates the processor");
    Ok(Accelerator::Emulation)
}

/// Whether the machine boots by KVM.
fn boots(image: &Image) -> bool {
    let script = image::folder().join("true.sh");
    if fs::write(&script, "true\n").is_err() {
        return false;
    }
    let job = Job {
        script,
        files: Vec::new(),
        arguments: Vec::new(),
        out: None,
        patience: PATIENCE,
        init: Init::Script,
    };
    let log = image::folder().join("kvm.log");
    matches!(
        machine::run(image, Accelerator::Kvm, &job, Output::File(&log)),
        Ok(0)
    )
}
