//! Enums that are known by one word each.

use thiserror::Error;

/// A word that names nothing of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown {kind} `{name}'\nhint: one of {choices}")]
pub struct UnknownName {
    /// What was looked for, as in "scheduler".
    pub kind: &'static str,
    /// The word that was given.
    pub name: String,
    /// The words that are known, separated by commas.
    pub choices: &'static str,
}

/// Gives a plain enum its words: `as_str`, `ALL`, `Display` and `FromStr`.
macro_rules! named {
    ($type:ident, $kind:literal, $choices:literal, { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in the order of the kernel's documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for this value.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::UnknownName;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownName {
                        kind: $kind,
                        name: word.to_owned(),
                        choices: $choices,
                    }),
                }
            }
        }
    };
}
pub(crate) use named;
