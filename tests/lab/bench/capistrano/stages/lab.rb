ENV.fetch("WEB").split.each do |host|
  name, address = host.split("=")
  server address, roles: [:app], name: name
end
