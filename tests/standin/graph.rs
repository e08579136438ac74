//! Microsoft Graph: the place is kept, every resource is still missing.

use serde_json::json;

use super::http::{Request, Response};
use super::world::{World, guid};

pub fn answer(_world: &World, request: &Request) -> Response {
    let message = format!("Resource not found for the segment '{}'.", request.path);
    Response::json(
        404,
        &json!({"error": {"code": "ResourceNotFound", "message": message,
            "innerError": {"request-id": guid(), "client-request-id": guid()}}}),
    )
}
