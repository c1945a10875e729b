curl https://deploy:$PASSWORD@ci.company.net/build
curl https://ci.company.net:8443/@scope/build
