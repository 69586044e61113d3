fleet, release = ENV.fetch("FLEET"), ENV.fetch("RELEASE")
archive = "#{fleet}/#{release}.tar"

# Not the fleet's ssh_config: without a further gem net-ssh does not know the key exchange that it names.
set :ssh_options, {
  config: false,
  port: 2222,
  user: ENV.fetch("LOGIN"),
  keys: ["#{fleet}/keys/client"],
  keys_only: true,
  auth_methods: ["publickey"],
  user_known_hosts_file: ["#{fleet}/keys/known_hosts"],
  verify_host_key: :always,
}
set :format_options, log_file: nil

desc "Stages the release on all hosts, then swaps all of them at once"
task :swap do
  run_locally { execute :tar, "-cf", archive, "-C", ENV.fetch("APP"), "." }
  on roles(:app), in: :parallel do |host|
    releases = "#{fleet}/hosts/#{host.properties.name}/srv/releases"
    execute :mkdir, "-p", "#{releases}/#{release}.part"
    upload! archive, "#{releases}/#{release}.tar"
    execute :tar, "-xf", "#{releases}/#{release}.tar", "-C", "#{releases}/#{release}.part"
    execute :rm, "#{releases}/#{release}.tar"
    execute :mv, "#{releases}/#{release}.part", "#{releases}/#{release}"
  end
  on roles(:app), in: :parallel do |host|
    script = "#{fleet}/hosts/#{host.properties.name}/swap.sh"
    upload! File.join(__dir__, "../swap.sh"), script
    execute :sh, script, fleet, host.properties.name, host.hostname, release, *ENV.fetch("PORTS").split
  end
end
