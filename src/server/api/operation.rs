//! What can be asked: each operation with all that routes it, checks it and describes it. The router
//! and the document are made from the same list, so that neither knows of more than the other.

use std::future::Future;
use std::pin::Pin;

use axum::response::Response;
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};

use super::ask::Ask;
use super::parameter::Parameter;
use super::problem::{Code, Problem};
use crate::store::token::Scope;

/// How an operation is carried out.
pub(super) type Act = fn(Ask) -> Acting;
/// One that is being carried out.
pub(super) type Acting = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;
/// How a shape is described.
pub(super) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// How a type is described.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What is done to what is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
}

/// A body that an operation takes.
#[derive(Clone, Copy)]
pub(super) enum Taken {
    /// None; an empty object is one.
    Nothing,
    /// A JSON object.
    Json(Describe),
}

/// A good answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    pub(super) media: &'static str,
    pub(super) describe: Describe,
}

/// One operation.
pub(super) struct Operation {
    /// Its name for programs that are made from the document.
    pub(super) id: &'static str,
    pub(super) method: Method,
    /// Where it is; parts in braces are of `place`.
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    /// What else is to be known.
    pub(super) more: &'static str,
    /// What a token must allow; none where no token is needed.
    pub(super) scope: Option<Scope>,
    pub(super) place: &'static [Parameter],
    pub(super) query: &'static [Parameter],
    /// Headers, which are all optional to HTTP; the operation says which it needs.
    pub(super) headers: &'static [Parameter],
    pub(super) body: Taken,
    pub(super) answers: &'static [Answer],
    /// What can be wrong besides what can be with any.
    pub(super) problems: &'static [Code],
    pub(super) act: Act,
}

/// A good answer in JSON.
pub(super) const fn answer(status: u16, about: &'static str, describe: Describe) -> Answer {
    Answer { status, about, media: "application/json", describe }
}

impl Operation {
    /// One that looks at something, to be completed.
    pub(super) const LOOK: Self = Self {
        id: "",
        method: Method::Get,
        path: "",
        about: "",
        more: "",
        scope: Some(Scope::Read),
        place: &[],
        query: &[],
        headers: &[],
        body: Taken::Nothing,
        answers: &[],
        problems: &[],
        act: |_| Box::pin(async { Err(Problem::new(Code::PathUnknown, "nothing is done here")) }),
    };

    /// The problems that it may answer with.
    pub(super) fn codes(&self) -> Vec<Code> {
        let mut codes = vec![
            Code::HostMissing,
            Code::HostRefused,
            Code::OriginRefused,
            Code::PlacesTaken,
            Code::TookTooLong,
        ];
        if self.scope.is_some() {
            codes.extend([
                Code::TokenMissing,
                Code::TokenInvalid,
                Code::TokenExpired,
                Code::ScopeMissing,
                Code::RateLimited,
                Code::FailuresLimited,
                Code::StoreBusy,
                Code::StoreFailed,
                Code::Stopping,
            ]);
        }
        // Every operation refuses what it does not know.
        codes.push(Code::QueryUnknown);
        if !self.query.is_empty() {
            codes.push(Code::QueryInvalid);
        }
        if !self.place.is_empty() {
            codes.extend([Code::PathInvalid, Code::NotFound]);
        }
        if !self.headers.is_empty() {
            codes.push(Code::HeaderInvalid);
        }
        if self.method == Method::Post {
            codes.extend([
                Code::BodyUnparsable,
                Code::BodyInvalid,
                Code::BodyTooSlow,
                Code::BodyTooLarge,
                Code::MediaTypeUnsupported,
                Code::StoreUnwritable,
            ]);
        }
        codes.extend(self.problems);
        codes
    }
}
