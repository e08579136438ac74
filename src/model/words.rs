//! Values that are one word of a few: what an option takes and how each is shown.

/// Says the words of an enum, once for options and for whoever shows it. The file's are read by the
/// derived `Deserialize`, whose words are the same.
macro_rules! words {
    ($kind:ident { $($value:ident = $word:literal),* $(,)? }) => {
        impl $kind {
            pub fn name(self) -> &'static str {
                match self {
                    $($kind::$value => $word),*
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl clap::ValueEnum for $kind {
            fn value_variants<'a>() -> &'a [$kind] {
                &[$($kind::$value),*]
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(self.name().into())
            }
        }
    };
}

pub(super) use words;
