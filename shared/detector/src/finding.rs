//! Facts about a model, and the evidence for each.

use std::fmt;

/// One thing that is known about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the fact: that of the card's field, if there is one.
    pub what: &'static str,
    /// The fact, as text for people.
    pub value: String,
    /// The evidence.
    pub origin: Origin,
    /// The reason, if it is not obvious.
    pub because: Option<String>,
}

/// The evidence for a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The card beside the model.
    Card,
    /// Inputs, outputs or shapes that the model declares.
    Model,
    /// The model's metadata.
    Metadata,
    /// The usual value of its family.
    Family,
    /// COCO's classes, whose number fits.
    Coco,
    /// There is no evidence: classes are numbered.
    Numbers,
    /// The model's answer for an artificial picture (the trial).
    Trial,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Card => "card",
            Self::Model => "model",
            Self::Metadata => "metadata",
            Self::Family => "family",
            Self::Coco => "COCO",
            Self::Numbers => "numbered",
            Self::Trial => "trial picture",
        })
    }
}

/// Collects findings while a model is read.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, what: &'static str, value: String, origin: Origin) {
        self.0.push(Finding { what, value, origin, because: None });
    }

    pub(crate) fn because(&mut self, what: &'static str, value: &str, origin: Origin, because: &str) {
        self.0.push(Finding { what, value: value.to_owned(), origin, because: Some(because.to_owned()) });
    }

    /// The value of the card, otherwise that of the family. It records which one.
    pub(crate) fn pick<T>(
        &mut self,
        what: &'static str,
        card: Option<T>,
        family: T,
        show: impl FnOnce(&T) -> String,
    ) -> T {
        let (value, origin) = card.map_or((family, Origin::Family), |value| (value, Origin::Card));
        self.add(what, show(&value), origin);
        value
    }

    pub(crate) fn into_list(self) -> Vec<Finding> {
        self.0
    }
}
