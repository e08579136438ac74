mod mail;
mod servers;

mod cases {
    mod real_servers;
}
